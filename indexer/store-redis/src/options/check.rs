//! Every mistake in the options at once, each with the field and the fix.

use std::time::Duration;

use super::{RedisOptions, Topology};

/// Longest prefix, in bytes.
const PREFIX_MAX: usize = 100;

/// Options that cannot work: everything that is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", mistakes.join("; "))]
pub struct OptionsError {
    /// One sentence per mistake; each names the field and says what fits.
    pub mistakes: Vec<String>,
}

impl RedisOptions {
    /// Checks all fields.
    ///
    /// # Errors
    /// All mistakes together.
    pub fn validate(&self) -> Result<(), OptionsError> {
        let mut mistakes = Vec::new();
        self.check_topology(&mut mistakes);
        self.check_prefix(&mut mistakes);
        self.check_times(&mut mistakes);
        self.check_sizes(&mut mistakes);
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(OptionsError { mistakes })
        }
    }

    fn check_topology(&self, mistakes: &mut Vec<String>) {
        let (field, addresses) = match &self.topology {
            Topology::Standalone { address } => ("address", std::slice::from_ref(address)),
            Topology::Sentinel { addresses, master } => {
                if master.is_empty() {
                    mistakes.push("sentinel master is empty; give the master's name".into());
                }
                ("sentinel addresses", addresses.as_slice())
            }
            Topology::Cluster { addresses } => {
                if self.database != 0 {
                    let database = self.database;
                    mistakes.push(format!("database is {database}; a cluster has only 0"));
                }
                ("cluster addresses", addresses.as_slice())
            }
        };
        if addresses.is_empty() {
            mistakes.push(format!("{field}: none given; give at least one host:port"));
        }
        for address in addresses {
            if split_address(address).is_none() {
                mistakes.push(format!("{field}: {address:?} is not host:port"));
            }
        }
    }

    fn check_prefix(&self, mistakes: &mut Vec<String>) {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".:-_/".contains(c);
        let prefix = &self.prefix;
        if prefix.is_empty() || prefix.len() > PREFIX_MAX || !prefix.chars().all(fits) {
            mistakes.push(format!(
                "prefix {prefix:?} does not fit; give 1 to {PREFIX_MAX} letters, digits or . : - _ /"
            ));
        }
    }

    fn check_times(&self, mistakes: &mut Vec<String>) {
        let times = [
            ("command_timeout", self.command_timeout),
            ("append_timeout", self.append_timeout),
            ("load_timeout", self.load_timeout),
            ("silence_max", self.silence_max),
            ("poll", self.poll),
        ];
        for (field, time) in times {
            if time < Duration::from_millis(1) {
                mistakes.push(format!("{field} is {time:?}; give at least 1 ms"));
            }
        }
        if self.checkpoint.lease < Duration::from_secs(1) {
            let lease = self.checkpoint.lease;
            mistakes.push(format!("checkpoint.lease is {lease:?}; give at least 1 s"));
        }
        let (silence, poll) = (self.silence_max, self.poll);
        if silence <= poll {
            mistakes.push(format!(
                "silence_max ({silence:?}) must be longer than poll ({poll:?})"
            ));
        }
    }

    fn check_sizes(&self, mistakes: &mut Vec<String>) {
        let sizes = [
            ("queue", self.queue),
            ("group_batches", self.group_batches),
            ("group_bytes", self.group_bytes),
            ("batch_bytes_max", self.batch_bytes_max),
        ];
        for (field, size) in sizes {
            if size == 0 {
                mistakes.push(format!("{field} is 0; give at least 1"));
            }
        }
        let piece = self.checkpoint.piece_bytes;
        if !(1024..=4 << 20).contains(&piece) {
            mistakes.push(format!(
                "checkpoint.piece_bytes is {piece}; give 1024 to 4194304"
            ));
        }
        let (min, max) = (
            self.checkpoint.stream_bytes_min,
            self.checkpoint.stream_bytes_max,
        );
        let batch = self.batch_bytes_max as u64;
        if max < min.saturating_add(batch) {
            mistakes.push(format!(
                "checkpoint.stream_bytes_max ({max}) must be at least checkpoint.stream_bytes_min ({min}) and batch_bytes_max ({batch}) together"
            ));
        }
    }
}

/// Host and port of `host:port`; a host in brackets may hold colons.
pub(crate) fn split_address(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let port: u16 = port.parse().ok()?;
    (!host.is_empty() && port != 0).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit() {
        RedisOptions::default().validate().expect("they do");
    }

    #[test]
    fn all_mistakes_are_said_at_once() {
        let options = RedisOptions {
            topology: Topology::Sentinel {
                addresses: vec!["nowhere".into()],
                master: String::new(),
            },
            prefix: "a{b".into(),
            queue: 0,
            silence_max: Duration::from_millis(1),
            ..RedisOptions::default()
        };
        let error = options.validate().expect_err("nothing fits");
        let said = error.to_string();
        for field in ["master", "\"nowhere\"", "prefix", "queue", "silence_max"] {
            assert!(said.contains(field), "{field} is missing in: {said}");
        }
    }

    #[test]
    fn addresses_split() {
        assert_eq!(split_address("[::1]:6379"), Some(("::1".into(), 6379)));
        assert_eq!(split_address("redis:6379"), Some(("redis".into(), 6379)));
        for bad in ["redis", ":6379", "redis:0", "redis:x"] {
            assert_eq!(split_address(bad), None, "{bad}");
        }
    }
}
