//! Profile `content`: keys from what a block holds.
//!
//! Two levels, so that the parts can travel alone:
//!
//! - the **local hash** of a block depends on its own tokens and extra keys and
//!   on nothing before it, so an ingestor that knows no parent can compute it;
//! - the **chain value** folds local hashes from the first block on, so the
//!   replicated state, which knows parents, needs neither tokens nor texts.
//!
//! Without extra keys both equal the "local" and "rolling" block hashes of
//! NVIDIA Dynamo's router and of Mooncake's indexer RFC (XXH3-64, seed 1337,
//! little-endian token ids), so their queries by hash can be answered directly.

use serde::{Deserialize, Serialize};
use xxhash_rust::const_xxh3::const_custom_default_secret;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_secret, xxh3_64_with_seed};
#[cfg(target_endian = "little")]
use zerocopy::IntoBytes;

use crate::{EngineHash, ExtraKey, ExtraRef, TokenId};

/// Seed of every XXH3-64 in the chain; Dynamo's and Mooncake's value.
pub const SEED: u64 = 1337;

/// Seed that keeps opaque blocks apart from blocks hashed by content.
const OPAQUE_SEED: u64 = 0x6f70_6171_7565;

/// Separates tokens from extra keys; no token id has this value.
const EXTRAS_MARK: u32 = u32::MAX;

/// What XXH3 makes of [`SEED`] for every input longer than [`SHORT_BYTES`]; made
/// once, as it costs as much as hashing the block.
const SECRET: [u8; 192] = const_custom_default_secret(SEED);

/// The longest input that XXH3 hashes by the seed itself, in bytes.
const SHORT_BYTES: usize = 240;

/// Tokens turned into bytes per step, where memory does not hold them in the
/// order that is hashed.
#[cfg(target_endian = "big")]
const STEP: usize = 256;

/// The hash of one block's own content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LocalHash(pub u64);

impl LocalHash {
    /// XXH3-64 (seed 1337) over the token ids, little-endian, followed (only if
    /// there are extra keys) by `ff ff ff ff` and each extra key in order:
    ///
    /// - text: `01 | len LE (4) | bytes`
    /// - item: `02 | len LE (4) | identifier | offset LE (8)`
    /// - bytes: `03 | len LE (4) | bytes`
    #[must_use]
    pub fn of(tokens: &[TokenId], extras: &[ExtraKey]) -> Self {
        Self::of_iter(tokens, extras.iter().map(ExtraKey::borrowed))
    }

    /// [`LocalHash::of`] with borrowed extra keys.
    #[must_use]
    pub fn of_refs(tokens: &[TokenId], extras: &[ExtraRef<'_>]) -> Self {
        Self::of_iter(tokens, extras.iter().copied())
    }

    fn of_iter<'a>(
        tokens: &[TokenId],
        extras: impl ExactSizeIterator<Item = ExtraRef<'a>>,
    ) -> Self {
        if extras.len() == 0 {
            return Self(plain(tokens));
        }
        let mut hasher = Xxh3::with_seed(SEED);
        update_tokens(&mut hasher, tokens);
        hasher.update(&EXTRAS_MARK.to_le_bytes());
        for extra in extras {
            update_extra(&mut hasher, extra);
        }
        Self(hasher.digest())
    }
}

/// The hash of tokens alone, read where they lie.
#[cfg(target_endian = "little")]
fn plain(tokens: &[TokenId]) -> u64 {
    let bytes = tokens.as_bytes();
    if bytes.len() > SHORT_BYTES {
        return xxh3_64_with_secret(bytes, &SECRET);
    }
    xxh3_64_with_seed(bytes, SEED)
}

#[cfg(target_endian = "little")]
fn update_tokens(hasher: &mut Xxh3, tokens: &[TokenId]) {
    hasher.update(tokens.as_bytes());
}

#[cfg(target_endian = "big")]
fn plain(tokens: &[TokenId]) -> u64 {
    let mut hasher = Xxh3::with_seed(SEED);
    update_tokens(&mut hasher, tokens);
    hasher.digest()
}

#[cfg(target_endian = "big")]
fn update_tokens(hasher: &mut Xxh3, tokens: &[TokenId]) {
    for step in tokens.chunks(STEP) {
        let mut bytes = [0_u8; STEP * 4];
        for (slot, token) in bytes.chunks_exact_mut(4).zip(step) {
            slot.copy_from_slice(&token.to_le_bytes());
        }
        hasher.update(&bytes[..step.len() * 4]);
    }
}

fn update_extra(hasher: &mut Xxh3, extra: ExtraRef<'_>) {
    let mut update = |tag: u8, bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        hasher.update(&[tag]);
        hasher.update(&length.to_le_bytes());
        hasher.update(bytes);
    };
    match extra {
        ExtraRef::Text(text) => update(1, text.as_bytes()),
        ExtraRef::Item { identifier, offset } => {
            update(2, identifier.as_bytes());
            hasher.update(&offset.to_le_bytes());
        }
        ExtraRef::Bytes(bytes) => update(3, bytes),
    }
}

/// The local hash of a block whose extra keys the engine hashed but did not
/// publish: only the engine's own hash tells it apart, so that is its content.
#[must_use]
pub fn opaque_local_hash(hash: EngineHash) -> LocalHash {
    LocalHash(xxh3_64_with_seed(&hash.0.to_be_bytes(), OPAQUE_SEED))
}

/// Folds local hashes into chain values, first block first.
///
/// The first value is the first block's local hash; each further one is
/// XXH3-64 (seed 1337) over `previous value LE | local hash LE`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContentChain {
    parent: Option<u64>,
}

impl ContentChain {
    /// A chain that starts with a prompt's first block.
    #[must_use]
    pub fn root() -> Self {
        Self { parent: None }
    }

    /// A chain that goes on after the block with chain value `parent`.
    #[must_use]
    pub fn after(parent: u64) -> Self {
        Self {
            parent: Some(parent),
        }
    }

    /// Adds one block and returns its chain value.
    #[must_use = "the value is the block's identity"]
    pub fn push(&mut self, local: LocalHash) -> u64 {
        let value = match self.parent {
            None => local.0,
            Some(parent) => {
                let mut bytes = [0_u8; 16];
                bytes[..8].copy_from_slice(&parent.to_le_bytes());
                bytes[8..].copy_from_slice(&local.0.to_le_bytes());
                xxh3_64_with_seed(&bytes, SEED)
            }
        };
        self.parent = Some(value);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_every_length_hash_as_their_bytes_do() {
        let tokens: Vec<u32> = (0..600).map(|n| n * 251_001).collect();
        let bytes: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
        for length in 0..=tokens.len() {
            assert_eq!(
                LocalHash::of(&tokens[..length], &[]).0,
                xxh3_64_with_seed(&bytes[..length * 4], SEED),
                "{length} tokens"
            );
        }
    }

    #[test]
    fn extras_are_told_apart_by_kind_order_and_length() {
        let text = |t: &str| ExtraKey::Text(t.to_owned());
        let item = |t: &str, offset| ExtraKey::Item {
            identifier: t.to_owned(),
            offset,
        };
        let cases = [
            vec![],
            vec![text("a")],
            vec![text("ab")],
            vec![text("a"), text("b")],
            vec![text("b"), text("a")],
            vec![item("a", 0)],
            vec![item("a", -1)],
            vec![ExtraKey::Bytes(b"a".to_vec())],
        ];
        let mut seen: Vec<_> = cases.iter().map(|c| LocalHash::of(&[1, 2], c)).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), cases.len());
    }
}
