//! What an engine's hashes depend on: algorithm, seed and version.

use serde::{Deserialize, Serialize};

use super::tuple::{KeyRule, LoraRule, ParentRule};
use super::{EngineVersion, HashAlgorithm};

/// The engine's settings that its block hashes depend on, next to block size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashRules {
    /// `--prefix-caching-hash-algo`.
    pub algorithm: HashAlgorithm,
    /// The text of `PYTHONHASHSEED` in the engine's environment, if it is set.
    pub seed: Option<String>,
    /// The engine's version.
    pub version: EngineVersion,
    /// How many tokens after a block are hashed with it: 0 unless the engine
    /// (vLLM 0.33) decodes speculatively in the EAGLE way.
    #[serde(default)]
    pub lookahead_tokens: u32,
}

/// Why hashes under some rules cannot be reproduced from outside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashRulesError {
    /// The root's hash is random in every process.
    #[error(
        "hash seed is unset: vLLM {version} with {algorithm} then starts every chain from random \
         bytes; set PYTHONHASHSEED on the engine and the same text here, or use profile content"
    )]
    RandomRoot {
        /// The algorithm.
        algorithm: HashAlgorithm,
        /// The engine's version.
        version: EngineVersion,
    },
    /// No such engine exists.
    #[error(
        "hash algorithm {algorithm} does not exist in vLLM {version} (it does from {since}{}); \
         correct the algorithm, or the version, or leave the version out",
        .until.map(|until| format!(", before {until}")).unwrap_or_default()
    )]
    NoSuchAlgorithm {
        /// The algorithm.
        algorithm: HashAlgorithm,
        /// The engine's version.
        version: EngineVersion,
        /// The first version that has it.
        since: EngineVersion,
        /// The first version that has it no longer.
        until: Option<EngineVersion>,
    },
    /// Python takes only numbers, and `random` makes text hashes unknowable.
    #[error(
        "hash seed {seed:?} gives no known text hashes with algorithm builtin; \
         PYTHONHASHSEED must be a number from 0 to 4294967295 there"
    )]
    UnusableSeed {
        /// The seed's text.
        seed: String,
    },
}

impl HashRules {
    /// The rules; an unknown version is the newest that has the algorithm.
    #[must_use]
    pub fn new(
        algorithm: HashAlgorithm,
        seed: Option<String>,
        version: Option<EngineVersion>,
    ) -> Self {
        let version = version.unwrap_or_else(|| EngineVersion::newest_with(algorithm));
        Self {
            algorithm,
            seed,
            version,
            lookahead_tokens: 0,
        }
    }

    /// Refuses what cannot be reproduced.
    pub(super) fn check(&self) -> Result<(), HashRulesError> {
        let (algorithm, version) = (self.algorithm, self.version);
        let (since, until) = algorithm.versions();
        if version < since || until.is_some_and(|until| version >= until) {
            return Err(HashRulesError::NoSuchAlgorithm {
                algorithm,
                version,
                since,
                until,
            });
        }
        let xxhash = matches!(algorithm, HashAlgorithm::Xxhash | HashAlgorithm::XxhashCbor);
        if self.seed.is_none() && (xxhash || version < EngineVersion::new(0, 29, 0)) {
            return Err(HashRulesError::RandomRoot { algorithm, version });
        }
        Ok(())
    }

    /// What the root's hash is the hash of.
    pub(super) fn root_text(&self) -> &str {
        self.seed.as_deref().unwrap_or("vllm-none-hash")
    }

    /// Up to 0.9 the root is SHA-256 of the pickled seed whatever the algorithm.
    pub(super) fn root_is_sha256(&self) -> bool {
        self.version < EngineVersion::new(0, 10, 0)
    }

    pub(super) fn parent_rule(&self) -> ParentRule {
        match self.algorithm {
            HashAlgorithm::Builtin => ParentRule::Signed,
            HashAlgorithm::Sha256Cbor64 => ParentRule::Natural,
            HashAlgorithm::Sha256 if self.version < EngineVersion::new(0, 10, 2) => {
                ParentRule::Natural
            }
            _ => ParentRule::Bytes,
        }
    }

    pub(super) fn lora_rule(&self) -> LoraRule {
        if self.version < EngineVersion::new(0, 11, 1) {
            LoraRule::Id
        } else if self.version < EngineVersion::new(0, 31, 0) {
            LoraRule::Name
        } else {
            LoraRule::NameAndPath
        }
    }

    pub(super) fn key_rule(&self) -> KeyRule {
        if self.version < EngineVersion::new(0, 19, 0) {
            KeyRule::Identifier
        } else if self.version < EngineVersion::new(0, 31, 0) {
            KeyRule::IdentifierOffset
        } else {
            KeyRule::Tagged
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineHasher;

    fn refused(algorithm: &str, seed: Option<&str>, version: &str) -> Option<HashRulesError> {
        let (algorithm, version) = (algorithm.parse().unwrap(), version.parse().unwrap());
        let rules = HashRules::new(algorithm, seed.map(str::to_owned), Some(version));
        EngineHasher::new(rules).err()
    }

    #[test]
    fn a_random_root_is_an_error() {
        for (algorithm, version, known) in [
            ("sha256", "0.28.0", false),
            ("sha256_cbor", "0.28.0", false),
            ("sha256", "0.29.0", true),
            ("sha256_cbor", "0.33.0", true),
            ("xxhash", "0.33.0", false),
            ("xxhash_cbor", "0.33.0", false),
            ("builtin", "0.10.1.1", false),
            ("sha256_cbor_64bit", "0.10.1.1", false),
        ] {
            let error = refused(algorithm, None, version);
            let random = matches!(error, Some(HashRulesError::RandomRoot { .. }));
            assert_eq!(
                (error.is_none(), random),
                (known, !known),
                "{algorithm} {version}"
            );
            assert_eq!(
                refused(algorithm, Some("0"), version),
                None,
                "{algorithm} {version}"
            );
        }
    }

    #[test]
    fn an_algorithm_that_the_version_has_not_is_an_error() {
        for (algorithm, version) in [
            ("builtin", "0.10.2"),
            ("sha256_cbor_64bit", "0.9.2"),
            ("sha256_cbor_64bit", "0.32.0"),
            ("sha256_cbor", "0.10.1.1"),
            ("xxhash_cbor", "0.12.0"),
            ("sha256", "0.8.5"),
        ] {
            let error = refused(algorithm, Some("42"), version);
            assert!(
                matches!(error, Some(HashRulesError::NoSuchAlgorithm { .. })),
                "{error:?}"
            );
        }
    }

    #[test]
    fn an_unknown_version_is_one_that_has_the_algorithm() {
        for algorithm in HashAlgorithm::ALL {
            let rules = HashRules::new(algorithm, Some("42".to_owned()), None);
            assert!(EngineHasher::new(rules).is_ok(), "{algorithm}");
        }
    }

    #[test]
    fn builtin_needs_a_number() {
        let error = refused("builtin", Some("random"), "0.10.1");
        assert!(
            matches!(error, Some(HashRulesError::UnusableSeed { .. })),
            "{error:?}"
        );
        assert_eq!(refused("sha256", Some("random"), "0.10.1"), None);
    }

    #[test]
    fn messages_name_the_fix() {
        let error = refused("builtin", Some("42"), "0.32.0").unwrap();
        assert_eq!(
            error.to_string(),
            "hash algorithm builtin does not exist in vLLM 0.32.0 (it does from 0.9.0, before \
             0.10.2); correct the algorithm, or the version, or leave the version out"
        );
    }
}
