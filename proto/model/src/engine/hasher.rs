//! One engine's hash rules, made ready for use.

use xxhash_rust::xxh3::xxh3_128;

use super::cbor::Cbor;
use super::chain::{EngineChain, Scratch};
use super::pickle::Pickle;
use super::python::{HashSecret, Python};
use super::sha256;
use super::sink::Value;
use super::tuple::{Block, KeyRule, LoraRule, ParentRule, Text};
use super::{EngineDigest, EngineExtras, HashAlgorithm, HashRules, HashRulesError};
use super::{LoraKey, LoraKeyError};
use crate::{EngineHash, ItemForm, Lora, TokenId};

/// Reproduces the block hashes of engines that share one set of [`HashRules`].
#[derive(Debug, Clone)]
pub struct EngineHasher {
    rules: HashRules,
    parent_rule: ParentRule,
    lora_rule: LoraRule,
    key_rule: KeyRule,
    secret: HashSecret,
    none_hash: EngineDigest,
}

impl EngineHasher {
    /// Checks the rules and computes the root's hash from them.
    pub fn new(rules: HashRules) -> Result<Self, HashRulesError> {
        rules.check()?;
        let mut hasher = Self {
            parent_rule: rules.parent_rule(),
            lora_rule: rules.lora_rule(),
            key_rule: rules.key_rule(),
            secret: secret(&rules)?,
            none_hash: EngineDigest::of_number(0),
            rules,
        };
        let algorithm = match hasher.rules.root_is_sha256() {
            true => HashAlgorithm::Sha256,
            false => hasher.rules.algorithm,
        };
        let text = Text(hasher.rules.root_text());
        hasher.none_hash = hasher.digest(algorithm, &mut Scratch::default(), &text);
        Ok(hasher)
    }

    /// The rules that the hasher follows.
    #[must_use]
    pub fn rules(&self) -> &HashRules {
        &self.rules
    }

    /// What stands in the place of the first block's parent.
    #[must_use]
    pub fn none_hash(&self) -> EngineDigest {
        self.none_hash
    }

    /// How the engine names media items in extra keys.
    #[must_use]
    pub fn item_form(&self) -> ItemForm {
        match self.key_rule {
            KeyRule::Identifier => ItemForm::Identifier,
            KeyRule::IdentifierOffset | KeyRule::Tagged => ItemForm::IdentifierOffset,
        }
    }

    /// How many tokens after a block are hashed with it.
    #[must_use]
    pub fn lookahead_tokens(&self) -> usize {
        self.rules.lookahead_tokens as usize
    }

    /// The adapter in the form that this version hashes.
    pub fn lora_key<'a>(&self, lora: &'a Lora) -> Result<LoraKey<'a>, LoraKeyError> {
        self.lora_rule.key(lora)
    }

    /// A chain that starts with a prompt's first block.
    #[must_use]
    pub fn root(&self) -> EngineChain<'_> {
        EngineChain::new(self, self.none_hash)
    }

    /// A chain that goes on after a block known by its event's hash. Only
    /// `builtin` and `sha256_cbor_64bit` chain what they publish; all others
    /// chain more bytes than events carry.
    #[must_use]
    pub fn after_published(&self, parent: EngineHash) -> Option<EngineChain<'_>> {
        match self.rules.algorithm {
            HashAlgorithm::Builtin | HashAlgorithm::Sha256Cbor64 => {
                Some(EngineChain::new(self, EngineDigest::of_number(parent.0)))
            }
            _ => None,
        }
    }

    /// A chain that goes on after a block whose whole digest is known: from
    /// [`EngineChain::digest`], or from an engine that publishes bytes. `None`
    /// if the digest has not the algorithm's length.
    #[must_use]
    pub fn after_digest(&self, parent: EngineDigest) -> Option<EngineChain<'_>> {
        (parent.as_bytes().len() == self.digest_length()).then(|| EngineChain::new(self, parent))
    }

    /// Bytes in a block's digest.
    fn digest_length(&self) -> usize {
        match self.rules.algorithm {
            HashAlgorithm::Builtin | HashAlgorithm::Sha256Cbor64 => 8,
            HashAlgorithm::Sha256 | HashAlgorithm::Sha256Cbor => 32,
            HashAlgorithm::Xxhash | HashAlgorithm::XxhashCbor => 16,
        }
    }

    pub(super) fn block(
        &self,
        scratch: &mut Scratch,
        parent: &EngineDigest,
        tokens: &[TokenId],
        extras: &EngineExtras<'_>,
    ) -> EngineDigest {
        let parent = (self.parent_rule, parent);
        let block = Block {
            parent,
            tokens,
            key_rule: self.key_rule,
            extras,
        };
        self.digest(self.rules.algorithm, scratch, &block)
    }

    fn digest(
        &self,
        algorithm: HashAlgorithm,
        scratch: &mut Scratch,
        value: &impl Value,
    ) -> EngineDigest {
        match algorithm {
            HashAlgorithm::Builtin => {
                let mut python = Python::begin(self.secret, &mut scratch.open);
                value.write(&mut python);
                return EngineDigest::of_number(python.finish() as u64);
            }
            HashAlgorithm::Sha256 | HashAlgorithm::Xxhash => {
                let mut pickle = Pickle::begin(&mut scratch.bytes, &mut scratch.texts);
                value.write(&mut pickle);
                pickle.finish();
            }
            _ => {
                scratch.bytes.clear();
                value.write(&mut Cbor {
                    buffer: &mut scratch.bytes,
                });
            }
        }
        match algorithm {
            HashAlgorithm::Xxhash | HashAlgorithm::XxhashCbor => {
                EngineDigest::of_wide(xxh3_128(&scratch.bytes))
            }
            HashAlgorithm::Sha256Cbor64 => {
                let digest = EngineDigest::of_sha256(sha256::digest(&mut scratch.bytes));
                EngineDigest::of_number(digest.hash().0)
            }
            _ => EngineDigest::of_sha256(sha256::digest(&mut scratch.bytes)),
        }
    }
}

/// The key of Python's text hashes, which only `builtin` needs.
fn secret(rules: &HashRules) -> Result<HashSecret, HashRulesError> {
    match (&rules.seed, rules.algorithm) {
        (Some(seed), HashAlgorithm::Builtin) => {
            seed.parse()
                .map(HashSecret::from_seed)
                .map_err(|_| HashRulesError::UnusableSeed {
                    seed: seed.chars().take(64).collect(),
                })
        }
        _ => Ok(HashSecret::from_seed(0)),
    }
}
