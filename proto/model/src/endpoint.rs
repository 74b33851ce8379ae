//! Who holds blocks: endpoints, their data-parallel ranks, and publishers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest accepted cluster or address, in bytes.
const NAME_LIMIT: usize = 253;

/// One routable engine: `cluster/ip[:port]`. Never contains a rank.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    cluster: String,
    address: String,
}

/// Why a text names no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// A part is empty.
    #[error("endpoint {part} is empty; expected cluster/ip[:port]")]
    Empty {
        /// `cluster` or `address`.
        part: &'static str,
    },
    /// A part is longer than any DNS name.
    #[error("endpoint {part} has {length} bytes; at most {NAME_LIMIT} are allowed")]
    TooLong {
        /// `cluster` or `address`.
        part: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// A part holds a character that no cluster or address has.
    #[error("endpoint {part} contains {found:?}; letters, digits and . : - _ [ ] % are allowed")]
    Character {
        /// `cluster` or `address`.
        part: &'static str,
        /// The first such character.
        found: char,
    },
}

impl Endpoint {
    /// Checks both parts: non-empty, bounded, and of characters that occur in
    /// host names, IP addresses and ports.
    pub fn new(cluster: &str, address: &str) -> Result<Self, EndpointError> {
        check("cluster", cluster)?;
        check("address", address)?;
        Ok(Self {
            cluster: cluster.to_owned(),
            address: address.to_owned(),
        })
    }

    /// The cluster that the engine runs in; `default` where nobody names one.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// `ip` or `ip:port`, as the publisher's topic or the configuration says.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

fn check(part: &'static str, text: &str) -> Result<(), EndpointError> {
    if text.is_empty() {
        return Err(EndpointError::Empty { part });
    }
    if text.len() > NAME_LIMIT {
        return Err(EndpointError::TooLong {
            part,
            length: text.len(),
        });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".:-_[]%".contains(c);
    match text.chars().find(|c| !allowed(*c)) {
        Some(found) => Err(EndpointError::Character { part, found }),
        None => Ok(()),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.address)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    /// `cluster/address`; without a slash the cluster is `default`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (cluster, address) = text.split_once('/').unwrap_or(("default", text));
        Self::new(cluster, address)
    }
}

/// A data-parallel rank of an engine; 0 where there is only one.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Rank(pub u32);

/// One event stream: an endpoint and a rank. Its messages are numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Publisher {
    /// The engine.
    pub endpoint: Endpoint,
    /// The rank whose cache the stream describes.
    pub rank: Rank,
}

impl fmt::Display for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.endpoint, self.rank.0)
    }
}
