//! Engine hashes that were computed before.
//!
//! An engine's hash of a block is a function of the parent's digest and the block's
//! tokens, and costs a digest. A conversation's next turn brings the same blocks
//! again, so they are remembered in chunks of some blocks: under the digest before
//! the chunk and *all* of the chunk's tokens, which are compared, so that a chunk is
//! found exactly where computing would give the same. Prompts with a salt, an
//! adapter or media items, and engines that look ahead, are computed.
//!
//! Keys of profile `content` are not remembered: comparing and copying takes about
//! as long as computing them.

mod shard;

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use proto_model::engine::{EngineDigest, EngineExtras, EngineHasher, EngineVersion, HashAlgorithm};
use proto_model::{BlockKey, KeySpace, LocalHash, TokenId};

use shard::{Chunk, Shard};

/// Tokens of a chunk, about: a conversation that grows by less than a chunk is
/// computed again only to its last chunk's beginning.
const CHUNK_TOKENS: usize = 512;

/// Parts that are locked apart.
const SHARDS: usize = 16;

/// Remembers hashes of prompts' chunks, within a bound. Shared by all threads.
#[derive(Debug)]
pub struct KeyCache {
    shards: Vec<Mutex<Shard>>,
    capacity_bytes: u64,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What a cache holds, and what it was good for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyCacheStats {
    /// Chunks held.
    pub chunks: u64,
    /// Their memory, bookkeeping included.
    pub bytes: u64,
    /// The bound on it; 0: nothing is remembered.
    pub capacity_bytes: u64,
    /// Chunks found.
    pub hits: u64,
    /// Chunks computed.
    pub misses: u64,
    /// Chunks dropped to make room.
    pub evictions: u64,
}

/// What a chunk's hashes depend on besides its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    algorithm: HashAlgorithm,
    version: EngineVersion,
    block_size: u32,
    parent: EngineDigest,
}

impl KeyCache {
    /// A cache that holds at most so many bytes; 0 remembers nothing.
    #[must_use]
    pub fn new(capacity_bytes: usize) -> Self {
        let each = capacity_bytes / SHARDS;
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(each))).collect(),
            capacity_bytes: capacity_bytes as u64,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// What it holds and was good for.
    #[must_use]
    pub fn stats(&self) -> KeyCacheStats {
        let mut stats = KeyCacheStats {
            capacity_bytes: self.capacity_bytes,
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            ..KeyCacheStats::default()
        };
        for shard in &self.shards {
            shard.lock().add_to(&mut stats);
        }
        stats
    }

    /// Whether it remembers anything for this hasher's prompts.
    pub(crate) fn serves(&self, hasher: &EngineHasher) -> bool {
        self.capacity_bytes > 0 && hasher.lookahead_tokens() == 0
    }

    /// Replaces `out` by the keys of the full blocks of a prompt without salt,
    /// adapter and items, as [`proto_model::engine_keys`] does. Only for hashers
    /// that it [`serves`](Self::serves).
    pub(crate) fn keys(
        &self,
        space: &KeySpace,
        hasher: &EngineHasher,
        tokens: &[TokenId],
        out: &mut Vec<BlockKey>,
    ) {
        out.clear();
        let Some(size) = usize::try_from(space.block_size)
            .ok()
            .filter(|size| *size > 0)
        else {
            return;
        };
        out.reserve(tokens.len() / size);
        let mut walk = Walk {
            hasher,
            scope: space.scope(),
            block_size: size,
            out,
        };
        let mut place = Place {
            algorithm: hasher.rules().algorithm,
            version: hasher.rules().version,
            block_size: space.block_size,
            parent: hasher.none_hash(),
        };
        let (mut hits, mut misses) = (0, 0);
        let chunks = tokens.chunks_exact(size * (CHUNK_TOKENS / size).max(1));
        let rest = chunks.remainder();
        for tokens in chunks {
            let hash = LocalHash::of(tokens, &[]).0 ^ place.parent.hash().0.rotate_left(32);
            let shard = &self.shards[(hash >> 32) as usize % SHARDS];
            // Compared outside the lock.
            let found = shard.lock().get(hash);
            if let Some(chunk) = found.filter(|chunk| chunk.is(&place, tokens)) {
                hits += 1;
                walk.take(&chunk);
                place.parent = chunk.last();
                continue;
            }
            misses += 1;
            let first = walk.out.len();
            let last = walk.compute(place.parent, tokens);
            let keys = &walk.out[first..];
            let chunk = Chunk::new(place, tokens, walk.hashes(keys), last);
            shard.lock().insert(hash, chunk);
            place.parent = last;
        }
        walk.compute(place.parent, rest);
        self.hits.fetch_add(hits, Ordering::Relaxed);
        self.misses.fetch_add(misses, Ordering::Relaxed);
    }
}

/// One prompt's keys in the making.
struct Walk<'a> {
    hasher: &'a EngineHasher,
    scope: proto_model::Scope,
    block_size: usize,
    out: &'a mut Vec<BlockKey>,
}

impl Walk<'_> {
    fn take(&mut self, chunk: &Chunk) {
        let keys = chunk.hashes().map(|hash| self.scope.engine_key(hash));
        self.out.extend(keys);
    }

    /// Appends the keys of the tokens' full blocks after the block with this digest.
    /// Returns the last one's.
    fn compute(&mut self, parent: EngineDigest, tokens: &[TokenId]) -> EngineDigest {
        // The root's digest may be of another length than the blocks'.
        let root = || self.hasher.root();
        let at_root = parent == self.hasher.none_hash();
        let after = (!at_root)
            .then(|| self.hasher.after_digest(parent))
            .flatten();
        let mut chain = after.unwrap_or_else(root);
        for block in tokens.chunks_exact(self.block_size) {
            let hash = chain.push(block, &EngineExtras::default());
            self.out.push(self.scope.engine_key(hash));
        }
        chain.digest()
    }

    /// The hashes back from their keys.
    fn hashes(&self, keys: &[BlockKey]) -> Box<[u64]> {
        keys.iter().map(|key| self.scope.chain(*key)).collect()
    }
}

#[cfg(test)]
mod tests;
