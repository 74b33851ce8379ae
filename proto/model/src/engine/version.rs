//! Which vLLM an engine is, as far as block hashes depend on it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::HashAlgorithm;

/// A vLLM release; suffixes (`post2`, `rc1`, `+cu128`) make no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EngineVersion {
    /// First number.
    pub major: u16,
    /// Second number.
    pub minor: u16,
    /// Third number; further ones are not kept.
    pub patch: u16,
}

impl EngineVersion {
    /// The oldest version whose hashes are known here; older ones publish no
    /// events.
    pub const OLDEST: Self = Self::new(0, 9, 0);

    /// The newest version whose rules have been checked; newer ones are taken
    /// to hash like it.
    pub const NEWEST: Self = Self::new(0, 33, 0);

    /// The version from its three numbers.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// What to assume of an engine whose version nobody knows: the newest that
    /// has the algorithm.
    #[must_use]
    pub fn newest_with(algorithm: HashAlgorithm) -> Self {
        match algorithm {
            HashAlgorithm::Builtin | HashAlgorithm::Sha256Cbor64 => Self::new(0, 10, 1),
            _ => Self::NEWEST,
        }
    }
}

impl Default for EngineVersion {
    /// The newest known version.
    fn default() -> Self {
        Self::NEWEST
    }
}

impl fmt::Display for EngineVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl From<EngineVersion> for String {
    fn from(version: EngineVersion) -> Self {
        version.to_string()
    }
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("engine version {0:?} does not begin with MAJOR.MINOR, as 0.32.0 does")]
pub struct EngineVersionError(pub String);

impl FromStr for EngineVersion {
    type Err = EngineVersionError;

    /// `0.32.0`, `v0.10.1.1.post2`, `0.33.0rc1+cu128`, `0.33`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text
            .trim()
            .trim_start_matches(['v', 'V'])
            .split(['.', '+', '-']);
        let mut number = || -> Option<u16> {
            let part = parts.next()?;
            let end = part
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(part.len());
            part[..end].parse().ok()
        };
        match (number(), number()) {
            (Some(major), Some(minor)) => Ok(Self::new(major, minor, number().unwrap_or(0))),
            _ => Err(EngineVersionError(text.chars().take(64).collect())),
        }
    }
}

impl TryFrom<String> for EngineVersion {
    type Error = EngineVersionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_engines_and_people_write_them() {
        let cases = [
            ("0.10.1.1.post2", (0, 10, 1)),
            ("v0.32.0", (0, 32, 0)),
            ("0.33", (0, 33, 0)),
            ("0.33.0rc1+cu128", (0, 33, 0)),
            ("0.11.1rc2.dev5+gabcdef", (0, 11, 1)),
            ("1.0.0", (1, 0, 0)),
        ];
        for (text, (major, minor, patch)) in cases {
            assert_eq!(
                text.parse(),
                Ok(EngineVersion::new(major, minor, patch)),
                "{text}"
            );
        }
        for text in ["", "v", "latest", "0", "0.x", ".1", "99999.1"] {
            assert!(text.parse::<EngineVersion>().is_err(), "{text}");
        }
        assert!(EngineVersion::new(0, 9, 2) < EngineVersion::new(0, 10, 0));
    }
}
