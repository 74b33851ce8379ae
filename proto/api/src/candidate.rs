//! How a caller names endpoints.

use std::fmt;
use std::str::FromStr;

use proto_model::{Endpoint, EndpointError, Publisher, Rank};

/// An endpoint as a caller names it: `[cluster/]address[#rank]`.
///
/// What is left out matches anything, so a scheduler that knows only pod
/// addresses, or only engines without their ranks, need not guess the rest. A
/// port is compared only if both sides have one: engines often announce
/// themselves by pod IP alone, while gateways route to `ip:port`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Candidate {
    endpoint: Endpoint,
    any_cluster: bool,
    rank: Option<Rank>,
}

/// Why a text names no candidate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CandidateError {
    /// Cluster or address is malformed.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// What follows `#` is no rank.
    #[error("rank {0:?} is not a number from 0 to 4294967295; expected [cluster/]ip[:port][#rank]")]
    Rank(String),
}

impl Candidate {
    /// Whether this names the publisher.
    #[must_use]
    pub fn matches(&self, publisher: &Publisher) -> bool {
        let (own_host, own_port) = host_and_port(self.endpoint.address());
        let (host, port) = host_and_port(publisher.endpoint.address());
        own_host == host
            && own_port.is_none_or(|own| port.is_none_or(|port| own == port))
            && (self.any_cluster || self.endpoint.cluster() == publisher.endpoint.cluster())
            && self.rank.is_none_or(|rank| rank == publisher.rank)
    }

    /// The publisher that this names, if it leaves nothing out.
    #[must_use]
    pub fn exact(&self) -> Option<Publisher> {
        let rank = self.rank.filter(|_| !self.any_cluster)?;
        Some(Publisher {
            endpoint: self.endpoint.clone(),
            rank,
        })
    }

    /// The address without its port. Candidates and publishers can match only
    /// if their hosts are equal, so it makes a key for finding them.
    #[must_use]
    pub fn host(&self) -> &str {
        Self::host_of(self.endpoint.address())
    }

    /// The host of any address, as [`Candidate::host`] gives it.
    #[must_use]
    pub fn host_of(address: &str) -> &str {
        host_and_port(address).0
    }

    /// The port of any address, if it has one.
    #[must_use]
    pub fn port_of(address: &str) -> Option<&str> {
        host_and_port(address).1
    }

    /// `ip` or `ip:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        self.endpoint.address()
    }
}

impl From<&Publisher> for Candidate {
    fn from(publisher: &Publisher) -> Self {
        Self {
            endpoint: publisher.endpoint.clone(),
            any_cluster: false,
            rank: Some(publisher.rank),
        }
    }
}

impl From<Endpoint> for Candidate {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            any_cluster: false,
            rank: None,
        }
    }
}

impl FromStr for Candidate {
    type Err = CandidateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, rank) = match text.split_once('#') {
            None => (text, None),
            Some((name, rank)) => {
                let parsed = rank
                    .parse()
                    .map_err(|_| CandidateError::Rank(rank.chars().take(16).collect()))?;
                (name, Some(Rank(parsed)))
            }
        };
        Ok(Self {
            endpoint: name.parse()?,
            any_cluster: !name.contains('/'),
            rank,
        })
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.any_cluster {
            write!(f, "{}/", self.endpoint.cluster())?;
        }
        f.write_str(self.endpoint.address())?;
        match self.rank {
            Some(rank) => write!(f, "#{}", rank.0),
            None => Ok(()),
        }
    }
}

/// Splits `host[:port]`. An IPv6 address has a port only in the form
/// `[address]:port`, and its brackets do not count.
fn host_and_port(address: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = address
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        return (host, rest.strip_prefix(':'));
    }
    match address.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (address, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publisher(cluster: &str, address: &str, rank: u32) -> Publisher {
        let endpoint = Endpoint::new(cluster, address).expect("test endpoint");
        Publisher {
            endpoint,
            rank: Rank(rank),
        }
    }

    #[test]
    fn what_is_left_out_matches_anything() {
        let cases = [
            ("10.0.0.1:80", true),
            ("10.0.0.1:80#2", true),
            ("10.0.0.1:80#1", false),
            ("east/10.0.0.1:80", true),
            ("west/10.0.0.1:80", false),
            ("default/10.0.0.1:80", false),
            ("10.0.0.1", true),
            ("10.0.0.1:81", false),
            ("10.0.0.2", false),
        ];
        for (text, expected) in cases {
            let candidate: Candidate = text.parse().expect(text);
            assert_eq!(
                candidate.matches(&publisher("east", "10.0.0.1:80", 2)),
                expected,
                "{text}"
            );
            assert_eq!(candidate.to_string(), text);
        }
    }

    #[test]
    fn ports_count_only_if_both_sides_have_one() {
        let cases = [
            ("10.0.0.1:80", "10.0.0.1", true),
            ("[fd00::1]:80", "fd00::1", true),
            ("[fd00::1]:80", "[fd00::1]:81", false),
            ("fd00::1", "fd00::2", false),
        ];
        for (text, address, expected) in cases {
            let candidate: Candidate = text.parse().expect(text);
            assert_eq!(
                candidate.matches(&publisher("c", address, 0)),
                expected,
                "{text} {address}"
            );
        }
    }

    #[test]
    fn malformed_names_say_what_is_wrong() {
        for text in [
            "",
            "#1",
            "a b",
            "east/",
            "a#",
            "a#-1",
            "a#4294967296",
            "a/b/c",
        ] {
            assert!(text.parse::<Candidate>().is_err(), "{text:?}");
        }
    }
}
