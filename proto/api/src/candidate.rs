//! How a caller names endpoints.

use std::fmt;
use std::str::FromStr;

use proto_model::{Endpoint, EndpointError, Publisher, Rank};

/// An endpoint as a caller names it: `[cluster/]address[#rank]`.
///
/// What is left out matches anything, so a scheduler that knows only pod
/// addresses, or only engines without their ranks, need not guess the rest.
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
        self.endpoint.address() == publisher.endpoint.address()
            && (self.any_cluster || self.endpoint.cluster() == publisher.endpoint.cluster())
            && self.rank.is_none_or(|rank| rank == publisher.rank)
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
            ("10.0.0.1", false),
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
