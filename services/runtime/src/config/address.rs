//! Where a listener binds.

use std::fmt;
use std::io;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;
use tokio::net::TcpListener;

/// `host:port`. An empty host or `*` means every interface, IPv4 and IPv6;
/// port 0 lets the system choose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress {
    host: String,
    port: u16,
}

/// Why a text is not a [`ListenAddress`].
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ListenAddressError {
    /// No colon, or an IPv6 address without its brackets.
    #[error("want host:port, such as 0.0.0.0:8090, [::]:8090 or :8090")]
    Form,
    /// Not a port.
    #[error("port {port:?} is not a number from 0 to 65535")]
    Port {
        /// What stood after the last colon.
        port: String,
    },
}

/// The listener could not be opened.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: is the port taken, or the address not of this machine?")]
pub struct BindError {
    /// The address that was asked for.
    pub address: ListenAddress,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl ListenAddress {
    /// `port` on every interface.
    #[must_use]
    pub const fn any(port: u16) -> Self {
        Self {
            host: String::new(),
            port,
        }
    }

    /// `port` on the loopback interface; what tests use, with port 0.
    #[must_use]
    pub fn loopback(port: u16) -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port,
        }
    }

    /// The port asked for; 0 where the system chooses.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The host as written; empty for every interface.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Opens the listener. On every interface, a machine without IPv6 gets
    /// an IPv4 listener.
    ///
    /// # Errors
    /// [`BindError`] with the address and the system's reason.
    pub async fn bind(&self) -> Result<TcpListener, BindError> {
        let bound = if self.host.is_empty() {
            match TcpListener::bind((Ipv6Addr::UNSPECIFIED, self.port)).await {
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    TcpListener::bind(("0.0.0.0", self.port)).await
                }
                other => other,
            }
        } else {
            TcpListener::bind((self.host.as_str(), self.port)).await
        };
        bound.map_err(|source| BindError {
            address: self.clone(),
            source,
        })
    }
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or(ListenAddressError::Form)?;
        let host = match host.strip_prefix('[') {
            Some(bracketed) => {
                let inner = bracketed
                    .strip_suffix(']')
                    .ok_or(ListenAddressError::Form)?;
                inner
                    .parse::<Ipv6Addr>()
                    .map_err(|_| ListenAddressError::Form)?;
                inner
            }
            None if host == "*" => "",
            None => host,
        };
        let bare = !host.contains(':') || text.starts_with('[');
        if !bare || host.contains(['/', ' ', '[', ']']) {
            return Err(ListenAddressError::Form);
        }
        let port = port.parse().map_err(|_| ListenAddressError::Port {
            port: port.chars().take(16).collect(),
        })?;
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Serialize for ListenAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = ListenAddress;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("host:port, such as 0.0.0.0:8090, [::]:8090 or :8090")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ListenAddress, E> {
                text.parse()
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_written() {
        for (text, host, port, printed) in [
            ("0.0.0.0:8090", "0.0.0.0", 8090, "0.0.0.0:8090"),
            (":8090", "", 8090, ":8090"),
            ("*:8090", "", 8090, ":8090"),
            ("[::1]:0", "::1", 0, "[::1]:0"),
            ("localhost:1", "localhost", 1, "localhost:1"),
        ] {
            let parsed: ListenAddress = text.parse().unwrap();
            assert_eq!((parsed.host(), parsed.port()), (host, port), "{text}");
            assert_eq!(parsed.to_string(), printed);
        }
    }

    #[test]
    fn wrong_addresses_say_what_is_wrong() {
        for text in ["8090", "::1:80", "[::1:80", "[x]:80", "tcp://*:80", ""] {
            assert_eq!(
                text.parse::<ListenAddress>(),
                Err(ListenAddressError::Form),
                "{text}"
            );
        }
        assert_eq!(
            "host:65536"
                .parse::<ListenAddress>()
                .unwrap_err()
                .to_string(),
            "port \"65536\" is not a number from 0 to 65535"
        );
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let held = ListenAddress::loopback(0).bind().await.unwrap();
        let port = held.local_addr().unwrap().port();
        let error = ListenAddress::loopback(port).bind().await.unwrap_err();
        assert!(error.to_string().contains(&format!("127.0.0.1:{port}")));
    }
}
