//! Token ids of pieces of text that were tokenised before, shared by all models
//! and threads and bounded in bytes.
//!
//! What a piece is, and why its ids do not depend on the text around it, is the
//! tokenizer's side (`model/reuse.rs`). Here a piece is found by a hash and then
//! compared in full with the text that was tokenised: a collision is a miss and
//! never a wrong answer.

mod shard;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proto_model::CacheSalt;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use shard::Shard;

/// Bytes of a shard below which there is one shard less.
const SHARD_BYTES: usize = 1 << 20;
/// Most shards: what keeps some dozens of threads out of each other's way.
const SHARDS: usize = 32;

/// Remembers the token ids of pieces of text, up to a number of bytes. Holds the
/// text itself, so it holds prompts: nothing of it is ever printed or returned.
pub struct TokenCache {
    shards: Box<[Shard]>,
    capacity: usize,
    /// Makes hashes unknown to callers, who else could make pieces collide.
    secret: u64,
    next_model: AtomicU64,
    bypassed: AtomicU64,
}

/// What a [`TokenCache`] holds and how often it helped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenCacheStats {
    /// Pieces found.
    pub hits: u64,
    /// Pieces that had to be tokenised.
    pub misses: u64,
    /// Pieces dropped to make room.
    pub evictions: u64,
    /// Prompts whose tokenizer is not one that pieces can be reused with.
    pub bypassed: u64,
    /// Pieces held.
    pub pieces: u64,
    /// Bytes held: texts, ids and what it takes to find them. Never more than
    /// `capacity_bytes`.
    pub bytes: u64,
    /// The bound on `bytes`.
    pub capacity_bytes: u64,
}

/// Within what pieces can be equal. Compared in full, as the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PieceSpace {
    /// The loaded model; one that is loaded again is another.
    model: u64,
    /// A digest of the salt, so that the time an answer takes tells nobody what
    /// was asked under another salt.
    salt: u64,
    /// Whether the piece stands at the prompt's start, if that makes a difference.
    first: bool,
}

impl PieceSpace {
    /// The same space for pieces at the prompt's start, or elsewhere.
    pub(crate) fn at_start(self, first: bool) -> Self {
        Self { first, ..self }
    }
}

/// One piece with its ids.
#[derive(Debug)]
pub(crate) struct CachedPiece {
    space: PieceSpace,
    text: Box<str>,
    ids: Box<[u32]>,
}

impl CachedPiece {
    /// The piece's token ids.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// What the piece takes beside its text and ids: its own allocation, and what
    /// all three are rounded up to. The tables count for themselves.
    const OVERHEAD: usize = 128;

    fn bytes(&self) -> usize {
        Self::bytes_of(&self.text, &self.ids)
    }

    fn bytes_of(text: &str, ids: &[u32]) -> usize {
        Self::OVERHEAD + text.len() + size_of_val(ids)
    }
}

impl TokenCache {
    /// A cache of at most so many bytes; 0 holds nothing.
    #[must_use]
    pub fn new(capacity_bytes: usize) -> Self {
        let shards = (capacity_bytes / SHARD_BYTES).clamp(1, SHARDS);
        let budget = capacity_bytes / shards;
        Self {
            shards: (0..shards).map(|_| Shard::new(budget)).collect(),
            capacity: capacity_bytes,
            secret: RandomState::new().hash_one(0_u8),
            next_model: AtomicU64::new(0),
            bypassed: AtomicU64::new(0),
        }
    }

    /// What it holds and how often it helped.
    #[must_use]
    pub fn stats(&self) -> TokenCacheStats {
        let mut stats = TokenCacheStats {
            bypassed: self.bypassed.load(Ordering::Relaxed),
            capacity_bytes: self.capacity as u64,
            ..TokenCacheStats::default()
        };
        for shard in &self.shards {
            shard.add_to(&mut stats);
        }
        stats
    }

    /// Whether anything can be held at all.
    pub(crate) fn is_on(&self) -> bool {
        self.capacity > 0
    }

    /// A number that no other model loaded with this cache has.
    pub(crate) fn number_model(&self) -> u64 {
        self.next_model.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a prompt that was tokenised without the cache.
    pub(crate) fn bypass(&self) {
        self.bypassed.fetch_add(1, Ordering::Relaxed);
    }

    /// The space of a model's pieces under a salt.
    pub(crate) fn space(&self, model: u64, salt: Option<&CacheSalt>) -> PieceSpace {
        // The length keeps an empty salt apart from none.
        let salt = salt.map_or(0, |salt| {
            let text = salt.expose();
            xxh3_64_with_seed(text.as_bytes(), self.secret ^ (text.len() as u64 + 1))
        });
        PieceSpace {
            model,
            salt,
            first: false,
        }
    }

    /// The piece, if it is held.
    pub(crate) fn find(&self, space: PieceSpace, text: &str) -> Option<Arc<CachedPiece>> {
        let hash = self.hash(space, text);
        let shard = self.shard(hash);
        let found = shard
            .find(hash)
            .filter(|piece| piece.space == space && *piece.text == *text);
        shard.count(found.is_some());
        found
    }

    /// Remembers a piece, and forgets others to make room for it.
    pub(crate) fn keep(&self, space: PieceSpace, text: &str, ids: &[u32]) {
        let hash = self.hash(space, text);
        let shard = self.shard(hash);
        if shard.takes(CachedPiece::bytes_of(text, ids)) {
            let piece = CachedPiece {
                space,
                text: text.into(),
                ids: ids.into(),
            };
            shard.keep(hash, piece);
        }
    }

    fn hash(&self, space: PieceSpace, text: &str) -> u64 {
        let PieceSpace { model, salt, first } = space;
        let seed = self.secret ^ salt ^ (model << 1 | u64::from(first)).rotate_left(32);
        xxh3_64_with_seed(text.as_bytes(), seed)
    }

    /// The high bits choose: the tables within use the low ones.
    fn shard(&self, hash: u64) -> &Shard {
        let at = (u128::from(hash) * self.shards.len() as u128) >> 64;
        // Less than the number of shards, as the hash is below 2^64.
        &self.shards[at as usize]
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
