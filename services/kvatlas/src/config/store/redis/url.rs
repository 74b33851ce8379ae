//! `redis://host:port[/database]`.

use super::RedisMode;
use crate::config::host_port;

/// One server's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedisUrl {
    /// `host:port`.
    pub(crate) address: String,
    /// Whether its connections are encrypted.
    pub(crate) tls: bool,
    /// The database's number.
    pub(crate) database: u16,
}

impl RedisUrl {
    /// Reads it, or says what is wrong with it. Whatever could be a password is
    /// not repeated.
    pub(super) fn parse(text: &str, mode: RedisMode) -> Result<Self, String> {
        let (tls, rest) = match text.split_once("://") {
            Some(("redis", rest)) => (false, rest),
            Some(("rediss", rest)) => (true, rest),
            _ => return Err("neither redis:// nor rediss://".to_owned()),
        };
        if rest.contains('@') {
            return Err("a login in the URL, where logs may show it; use password_file".to_owned());
        }
        let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
        let database = match database {
            "" => 0,
            number => number
                .parse()
                .map_err(|_| format!("the database {number:?}"))?,
        };
        let named = place.contains(':') && !place.ends_with(']');
        let address = match (named, mode) {
            (true, _) => place.to_owned(),
            (false, RedisMode::Sentinel) => format!("{place}:26379"),
            (false, _) => format!("{place}:6379"),
        };
        if !host_port::is_right(&address) {
            return Err(format!("the address {place:?}"));
        }
        Ok(Self {
            address,
            tls,
            database,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let read = |text, mode| {
            let url = RedisUrl::parse(text, mode)?;
            Ok((url.address, url.tls, url.database))
        };
        let is =
            |address: &str, tls, database| Ok::<_, String>((address.to_owned(), tls, database));
        assert_eq!(
            read("redis://a", RedisMode::Standalone),
            is("a:6379", false, 0)
        );
        assert_eq!(
            read("rediss://a:7/3", RedisMode::Standalone),
            is("a:7", true, 3)
        );
        assert_eq!(
            read("redis://a", RedisMode::Sentinel),
            is("a:26379", false, 0)
        );
        assert_eq!(
            read("redis://[::1]:7", RedisMode::Cluster),
            is("[::1]:7", false, 0)
        );
        assert_eq!(
            read("redis://[::1]", RedisMode::Cluster),
            is("[::1]:6379", false, 0)
        );
    }

    #[test]
    fn a_password_is_not_repeated() {
        let said = RedisUrl::parse("redis://me:secret@a:1", RedisMode::Standalone).unwrap_err();
        assert!(
            !said.contains("secret") && said.contains("password_file"),
            "{said}"
        );
        for text in ["a:6379", "redis://", "redis://a:1/x", "redis://a:0"] {
            assert!(
                RedisUrl::parse(text, RedisMode::Standalone).is_err(),
                "{text}"
            );
        }
    }
}
