//! Whether the engine's hashes are what the configuration says they are.
//!
//! A wrong hash seed, algorithm or block size makes every lookup miss without
//! any other sign, so it has to be found here and said aloud.

mod cache;
mod first_blocks;
mod probe;

use std::sync::Arc;

use indexer_events::BlockStored;
use proto_model::engine::{EngineChain, EngineExtras, EngineHasher};
use proto_model::{EngineHash, ExtraKey, ExtraRef, Lora};

use cache::DigestCache;
pub(crate) use first_blocks::{FirstBlocks, OtherHash};
pub(crate) use probe::Probe;

/// Blocks that may differ before hidden extra keys no longer explain it.
const HIDDEN_PATIENCE: u64 = 16;

/// What the check says about one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The rules give the hash that the engine published.
    Match,
    /// They give this one instead.
    Mismatch(EngineHash),
    /// Cannot be computed: the parent's digest or the adapter is not known.
    Unknown,
}

/// Recomputes one publisher's hashes.
#[derive(Debug)]
pub(crate) struct HashCheck {
    hasher: Arc<EngineHasher>,
    digests: DigestCache,
    matched: u64,
    mismatched: u64,
}

impl HashCheck {
    pub(crate) fn new(hasher: Arc<EngineHasher>, digests: usize) -> Self {
        Self {
            hasher,
            digests: DigestCache::new(digests),
            matched: 0,
            mismatched: 0,
        }
    }

    /// Whether mismatches without published extra keys mean wrong settings:
    /// nothing has matched so far, and salts cannot be everywhere.
    pub(crate) fn hopeless(&self) -> bool {
        self.matched == 0 && self.mismatched >= HIDDEN_PATIENCE
    }

    /// One verdict per block; empty if the event's blocks and tokens disagree.
    pub(crate) fn check(&mut self, event: &BlockStored, lora: Option<&Lora>) -> Vec<Verdict> {
        let Some(chunks) = event.chunks() else {
            return Vec::new();
        };
        let hasher = Arc::clone(&self.hasher);
        let Ok(lora_key) = lora.map(|lora| hasher.lora_key(lora)).transpose() else {
            return vec![Verdict::Unknown; chunks.len()];
        };
        let mut chain = match event.parent_block_hash {
            None => Some(hasher.root()),
            Some(parent) => self.chain_after(&hasher, parent),
        };
        let lookahead = Lookahead::of(event, hasher.lookahead_tokens());
        let mut keys = Vec::new();
        let mut verdicts = Vec::with_capacity(chunks.len());
        for (index, (hash, tokens, extras)) in chunks.enumerate() {
            let Some(current) = chain.as_mut() else {
                verdicts.push(Verdict::Unknown);
                continue;
            };
            own_extras(extras, lora, &mut keys);
            let Some(ahead) = lookahead.after((index + 1) * tokens.len()) else {
                verdicts.push(Verdict::Unknown);
                chain = None;
                continue;
            };
            let extras = EngineExtras {
                lora: lora_key,
                keys: &keys,
                lookahead: &ahead,
            };
            let computed = current.push(tokens, &extras);
            if computed == hash {
                self.matched += 1;
                self.digests.insert(hash, current.digest());
                verdicts.push(Verdict::Match);
            } else {
                self.mismatched += 1;
                verdicts.push(Verdict::Mismatch(computed));
                chain = hasher.after_published(hash);
            }
        }
        verdicts
    }

    fn chain_after<'a>(
        &mut self,
        hasher: &'a EngineHasher,
        parent: EngineHash,
    ) -> Option<EngineChain<'a>> {
        let published = hasher.after_published(parent);
        published.or_else(|| hasher.after_digest(self.digests.get(parent)?))
    }
}

/// The extra keys of a block without the adapter, which events put first.
pub(crate) fn own_extras<'a>(
    extras: &'a [ExtraKey],
    lora: Option<&Lora>,
    keys: &mut Vec<ExtraRef<'a>>,
) {
    keys.clear();
    keys.extend(
        without_lora(extras, lora.map(|lora| lora.name.as_str()))
            .iter()
            .map(ExtraKey::borrowed),
    );
}

/// Cuts the adapter's name off, if it stands first.
pub(crate) fn without_lora<'a>(extras: &'a [ExtraKey], lora: Option<&str>) -> &'a [ExtraKey] {
    match (extras, lora) {
        ([ExtraKey::Text(first), rest @ ..], Some(name)) if first == name => rest,
        _ => extras,
    }
}

/// The tokens that follow each block, for engines that hash them too.
struct Lookahead {
    tokens: Vec<u32>,
    count: usize,
}

impl Lookahead {
    fn of(event: &BlockStored, count: usize) -> Self {
        let mut tokens = Vec::new();
        if count > 0 {
            tokens.extend_from_slice(&event.token_ids);
            tokens.extend_from_slice(&event.lookahead_token_ids);
        }
        Self { tokens, count }
    }

    fn after(&self, position: usize) -> Option<Vec<u32>> {
        if self.count == 0 {
            return Some(Vec::new());
        }
        self.tokens
            .get(position..position + self.count)
            .map(<[u32]>::to_vec)
    }
}

#[cfg(test)]
mod tests;
