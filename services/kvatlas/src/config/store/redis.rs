//! `store.redis`: an index kept in Redis or Valkey.

mod url;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use services_runtime::config::Mistakes;

pub(crate) use url::RedisUrl;

/// What the servers are to each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RedisMode {
    /// One server, or a name that always leads to the master.
    #[default]
    Standalone,
    /// Sentinels, which know the master.
    Sentinel,
    /// Nodes of a Redis Cluster.
    Cluster,
}

/// How Redis is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RedisSection {
    /// `redis://host:port[/database]`, or `rediss://` with TLS: the server, the
    /// Sentinels, or some nodes of the cluster.
    pub(crate) urls: Vec<String>,
    /// What they are to each other.
    pub(crate) mode: RedisMode,
    /// The master's name, which Sentinels are asked for.
    pub(crate) master: Option<String>,
    /// The ACL user; none: Redis's default user.
    pub(crate) username: Option<String>,
    /// A file that holds the password; none: no password.
    pub(crate) password_file: Option<PathBuf>,
    /// The ACL user of the Sentinels.
    pub(crate) sentinel_username: Option<String>,
    /// A file that holds the Sentinels' password.
    pub(crate) sentinel_password_file: Option<PathBuf>,
    /// With `rediss://`: the authority of the servers' certificates; none: the
    /// system's.
    pub(crate) ca: Option<PathBuf>,
    /// With `rediss://`: this process's certificate, if the servers ask for one.
    pub(crate) certificate: Option<PathBuf>,
    /// Its private key.
    pub(crate) key: Option<PathBuf>,
    /// What all keys begin with; one index per prefix.
    pub(crate) prefix: String,
    /// Redis replicas that must have a batch before it is acknowledged.
    pub(crate) replicas_min: u32,
}

impl Default for RedisSection {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            mode: RedisMode::Standalone,
            master: None,
            username: None,
            password_file: None,
            sentinel_username: None,
            sentinel_password_file: None,
            ca: None,
            certificate: None,
            key: None,
            prefix: "kvatlas".to_owned(),
            replicas_min: 0,
        }
    }
}

impl RedisSection {
    /// The URLs that are right.
    pub(crate) fn targets(&self) -> Vec<RedisUrl> {
        let parsed = self.urls.iter().map(|url| RedisUrl::parse(url, self.mode));
        parsed.filter_map(Result::ok).collect()
    }

    pub(super) fn check(&self, path: &str, mistakes: &mut Mistakes) {
        if self.urls.is_empty() {
            mistakes.push(
                format!("{path}.urls"),
                "no URL",
                "at least one, such as [\"redis://redis-1:6379\"]",
            );
        }
        for (index, text) in self.urls.iter().enumerate() {
            if let Err(saw) = RedisUrl::parse(text, self.mode) {
                mistakes.push(
                    format!("{path}.urls.{index}"),
                    saw,
                    "redis://host:port[/database], or rediss:// with TLS",
                );
            }
        }
        self.check_mode(path, mistakes);
        let targets = self.targets();
        if let Some(first) = targets.first() {
            let same =
                |other: &RedisUrl| (other.tls, other.database) == (first.tls, first.database);
            if !targets.iter().all(same) {
                mistakes.push(
                    format!("{path}.urls"),
                    "different schemes or databases",
                    "the same scheme and database in all of them",
                );
            }
            let tls_files = [&self.ca, &self.certificate, &self.key];
            if !first.tls && tls_files.iter().any(|file| file.is_some()) {
                mistakes.push(
                    format!("{path}.urls"),
                    "redis://, but files for TLS",
                    "rediss://, or no ca, certificate and key",
                );
            }
        }
        if self.certificate.is_some() != self.key.is_some() {
            mistakes.push(
                format!("{path}.certificate"),
                "only one of certificate and key",
                "both or neither",
            );
        }
        self.check_files(path, mistakes);
    }

    fn check_mode(&self, path: &str, mistakes: &mut Mistakes) {
        if self.mode == RedisMode::Standalone && self.urls.len() > 1 {
            mistakes.push(
                format!("{path}.urls"),
                format!("{} URLs of one server", self.urls.len()),
                "one URL, or mode sentinel or cluster",
            );
        }
        match (self.mode, &self.master) {
            (RedisMode::Sentinel, None) => mistakes.push(
                format!("{path}.master"),
                "nothing",
                "the master's name in the Sentinels' configuration",
            ),
            (RedisMode::Standalone | RedisMode::Cluster, Some(_)) => mistakes.push(
                format!("{path}.master"),
                "a master's name without mode sentinel",
                "mode: sentinel, or no master",
            ),
            _ => {}
        }
    }

    fn check_files(&self, path: &str, mistakes: &mut Mistakes) {
        for (key, file) in [
            ("password_file", &self.password_file),
            ("sentinel_password_file", &self.sentinel_password_file),
            ("ca", &self.ca),
            ("certificate", &self.certificate),
            ("key", &self.key),
        ] {
            if let Some(file) = file
                && let Err(error) = std::fs::File::open(file)
            {
                let saw = format!("{}: {error}", file.display());
                mistakes.push(format!("{path}.{key}"), saw, "a readable file");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes_of(section: &RedisSection) -> String {
        let mut mistakes = Mistakes::new();
        section.check("store.redis", &mut mistakes);
        mistakes
            .into_result()
            .map_or_else(|errors| errors.to_string(), |()| String::new())
    }

    fn with(urls: &[&str]) -> RedisSection {
        RedisSection {
            urls: urls.iter().map(|&url| url.to_owned()).collect(),
            ..RedisSection::default()
        }
    }

    #[test]
    fn one_server_or_a_mode_that_explains_several() {
        assert_eq!(mistakes_of(&with(&["redis://a:6379/2"])), "");
        assert!(mistakes_of(&with(&[])).contains("no URL"));
        assert!(mistakes_of(&with(&["redis://a:1", "redis://b:1"])).contains("2 URLs"));
        let cluster = RedisSection {
            mode: RedisMode::Cluster,
            ..with(&["redis://a:1", "redis://b:1"])
        };
        assert_eq!(mistakes_of(&cluster), "");
        let sentinel = RedisSection {
            mode: RedisMode::Sentinel,
            ..with(&["redis://a:26379"])
        };
        assert!(mistakes_of(&sentinel).contains("store.redis.master"));
    }

    #[test]
    fn every_mistake_is_said() {
        let section = RedisSection {
            ca: Some("/nowhere/ca.pem".into()),
            key: Some("/nowhere/key.pem".into()),
            master: Some("m".to_owned()),
            ..with(&["redis://a:1", "http://b:1"])
        };
        let said = mistakes_of(&section);
        for part in [
            "urls.1",
            "store.redis.master",
            "store.redis.ca",
            "certificate",
            "rediss://",
        ] {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
    }
}
