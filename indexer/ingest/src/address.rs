//! TCP addresses as ZeroMQ writes them, and ports counted up by rank.

use std::fmt;
use std::str::FromStr;

/// `tcp://host:port`; the host is `*` where a socket binds every interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TcpAddress {
    host: String,
    port: u16,
}

/// Why a text is no TCP address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another transport than TCP.
    #[error("{seen:?} is not a TCP address; write tcp://host:port")]
    NotTcp {
        /// What was written.
        seen: String,
    },
    /// There is no port, or it is no number up to 65535.
    #[error("{seen:?} has no port between 0 and 65535; write tcp://host:port")]
    Port {
        /// What was written.
        seen: String,
    },
    /// There is no host, or it has characters that no host has.
    #[error("{seen:?} has no host; write tcp://host:port, or tcp://*:port to bind every interface")]
    Host {
        /// What was written.
        seen: String,
    },
    /// The port of a rank would lie beyond 65535.
    #[error("port {port} + rank {rank} exceeds 65535; choose a lower port or fewer ranks")]
    RankBeyondPorts {
        /// The port of rank 0.
        port: u16,
        /// The rank.
        rank: u32,
    },
}

impl TcpAddress {
    /// An address from its parts.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".:-_%*".contains(c);
        if host.is_empty() || host.len() > 253 || !host.chars().all(allowed) {
            return Err(AddressError::Host {
                seen: host.chars().take(64).collect(),
            });
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }

    /// The host, without brackets around an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 lets the system choose.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a data-parallel rank: the port counted up by it. Port 0
    /// stays 0, as vLLM keeps it.
    pub fn for_rank(&self, rank: u32) -> Result<Self, AddressError> {
        if self.port == 0 {
            return Ok(self.clone());
        }
        let port = u32::from(self.port)
            .checked_add(rank)
            .and_then(|port| u16::try_from(port).ok())
            .ok_or(AddressError::RankBeyondPorts {
                port: self.port,
                rank,
            })?;
        Ok(Self {
            host: self.host.clone(),
            port,
        })
    }

    /// Host and port as the resolver wants them, `*` as every interface.
    #[must_use]
    pub fn to_socket(&self) -> (String, u16) {
        let host = if self.host == "*" {
            "0.0.0.0"
        } else {
            &self.host
        };
        (host.to_owned(), self.port)
    }
}

impl fmt::Display for TcpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "tcp://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "tcp://{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for TcpAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seen = || text.chars().take(64).collect::<String>();
        let rest = text
            .strip_prefix("tcp://")
            .ok_or_else(|| AddressError::NotTcp { seen: seen() })?;
        let (host, port) = rest
            .rsplit_once(':')
            .ok_or_else(|| AddressError::Port { seen: seen() })?;
        let port = port
            .parse()
            .map_err(|_| AddressError::Port { seen: seen() })?;
        Self::new(host, port).map_err(|_| AddressError::Host { seen: seen() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_zeromq_users_write() {
        for text in [
            "tcp://*:5557",
            "tcp://10.0.0.1:0",
            "tcp://[::1]:5557",
            "tcp://engine-0.svc:1",
        ] {
            assert_eq!(
                text.parse::<TcpAddress>().map(|a| a.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!(
            "tcp://*:1".parse::<TcpAddress>().map(|a| a.to_socket().0),
            Ok("0.0.0.0".into())
        );
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |text: &str| text.parse::<TcpAddress>().unwrap_err();
        assert!(matches!(error("ipc:///x"), AddressError::NotTcp { .. }));
        assert!(matches!(error("tcp://host"), AddressError::Port { .. }));
        assert!(matches!(
            error("tcp://host:70000"),
            AddressError::Port { .. }
        ));
        assert!(matches!(error("tcp://:1"), AddressError::Host { .. }));
        assert!(matches!(error("tcp://a b:1"), AddressError::Host { .. }));
    }

    #[test]
    fn ranks_count_ports_up() {
        let address: TcpAddress = "tcp://h:65534".parse().unwrap();
        assert_eq!(address.for_rank(1).unwrap().port(), 65535);
        assert!(matches!(
            address.for_rank(2),
            Err(AddressError::RankBeyondPorts { .. })
        ));
        assert!(address.for_rank(u32::MAX).is_err());
        let chosen: TcpAddress = "tcp://h:0".parse().unwrap();
        assert_eq!(chosen.for_rank(3).unwrap().port(), 0);
    }
}
