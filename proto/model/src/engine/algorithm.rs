//! The values of vLLM's `--prefix-caching-hash-algo`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::EngineVersion;

/// How an engine hashes a block, by vLLM's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HashAlgorithm {
    /// CPython's `hash()` of the tuple (vLLM before 0.10.2).
    #[serde(rename = "builtin")]
    Builtin,
    /// SHA-256 of the pickled tuple; the default of vLLM 0.10.2 and later.
    #[serde(rename = "sha256")]
    Sha256,
    /// SHA-256 of the tuple in canonical CBOR (vLLM 0.10.2 and later).
    #[serde(rename = "sha256_cbor")]
    Sha256Cbor,
    /// The low 64 bits of SHA-256 of the tuple in canonical CBOR, chained as a
    /// 64-bit number (vLLM 0.10.0 and 0.10.1).
    #[serde(rename = "sha256_cbor_64bit")]
    Sha256Cbor64,
    /// XXH3-128 of the pickled tuple (vLLM 0.13 and later).
    #[serde(rename = "xxhash")]
    Xxhash,
    /// XXH3-128 of the tuple in canonical CBOR (vLLM 0.13 and later).
    #[serde(rename = "xxhash_cbor")]
    XxhashCbor,
}

impl HashAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 6] = [
        Self::Builtin,
        Self::Sha256,
        Self::Sha256Cbor,
        Self::Sha256Cbor64,
        Self::Xxhash,
        Self::XxhashCbor,
    ];

    /// vLLM's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Sha256 => "sha256",
            Self::Sha256Cbor => "sha256_cbor",
            Self::Sha256Cbor64 => "sha256_cbor_64bit",
            Self::Xxhash => "xxhash",
            Self::XxhashCbor => "xxhash_cbor",
        }
    }

    /// The first version that has the algorithm, and the first that has it no
    /// longer.
    pub(super) fn versions(self) -> (EngineVersion, Option<EngineVersion>) {
        let version = EngineVersion::new;
        match self {
            Self::Builtin => (EngineVersion::OLDEST, Some(version(0, 10, 2))),
            Self::Sha256 => (EngineVersion::OLDEST, None),
            Self::Sha256Cbor64 => (version(0, 10, 0), Some(version(0, 10, 2))),
            Self::Sha256Cbor => (version(0, 10, 2), None),
            Self::Xxhash | Self::XxhashCbor => (version(0, 13, 0), None),
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no hash algorithm of vLLM's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown hash algorithm {0:?}; known are builtin, sha256, sha256_cbor, sha256_cbor_64bit, \
     xxhash, xxhash_cbor (the engine's --prefix-caching-hash-algo)"
)]
pub struct UnknownHashAlgorithm(pub String);

impl FromStr for HashAlgorithm {
    type Err = UnknownHashAlgorithm;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text);
        found.ok_or_else(|| UnknownHashAlgorithm(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for algorithm in HashAlgorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            let json = serde_json::to_string(&algorithm).unwrap();
            assert_eq!(json, format!("{:?}", algorithm.as_str()));
        }
        assert!("sha-256".parse::<HashAlgorithm>().is_err());
    }
}
