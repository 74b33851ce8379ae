//! One part of the cache: chunks by hash, the longest unused dropped first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proto_model::engine::EngineDigest;
use proto_model::{EngineHash, TokenId};

use super::{KeyCacheStats, Place};

/// Bytes of a chunk beside its tokens and hashes: the chunk itself, its places in
/// map and queue, and what the allocator adds.
const AROUND: usize = 256;

/// Some blocks that follow one another.
#[derive(Debug)]
pub(super) struct Chunk {
    place: Place,
    tokens: Box<[TokenId]>,
    hashes: Box<[u64]>,
    last: EngineDigest,
    /// Whether it was found since it was last passed over.
    used: AtomicBool,
}

impl Chunk {
    pub(super) fn new(
        place: Place,
        tokens: &[TokenId],
        hashes: Box<[u64]>,
        last: EngineDigest,
    ) -> Self {
        Self {
            place,
            tokens: tokens.into(),
            hashes,
            last,
            used: AtomicBool::new(false),
        }
    }

    /// Whether it is that of these tokens at this place.
    pub(super) fn is(&self, place: &Place, tokens: &[TokenId]) -> bool {
        self.place == *place && *self.tokens == *tokens
    }

    pub(super) fn hashes(&self) -> impl Iterator<Item = EngineHash> {
        self.hashes.iter().copied().map(EngineHash)
    }

    /// The digest of its last block.
    pub(super) fn last(&self) -> EngineDigest {
        self.last
    }

    fn bytes(&self) -> usize {
        AROUND + size_of_val(&*self.tokens) + size_of_val(&*self.hashes)
    }
}

/// Chunks within a bound.
#[derive(Debug)]
pub(super) struct Shard {
    chunks: HashMap<u64, Arc<Chunk>>,
    /// The chunks' hashes, each once, oldest first.
    order: VecDeque<u64>,
    bytes: usize,
    limit: usize,
    evictions: u64,
}

impl Shard {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            chunks: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            limit,
            evictions: 0,
        }
    }

    pub(super) fn get(&self, hash: u64) -> Option<Arc<Chunk>> {
        let chunk = self.chunks.get(&hash)?;
        chunk.used.store(true, Ordering::Relaxed);
        Some(Arc::clone(chunk))
    }

    /// Takes a chunk in, in the place of one that has the same hash.
    pub(super) fn insert(&mut self, hash: u64, chunk: Chunk) {
        let bytes = chunk.bytes();
        if bytes > self.limit {
            return;
        }
        self.bytes += bytes;
        match self.chunks.insert(hash, Arc::new(chunk)) {
            Some(before) => self.bytes -= before.bytes(),
            None => self.order.push_back(hash),
        }
        while self.bytes > self.limit {
            self.drop_one();
        }
    }

    /// Drops the oldest chunk that was not found since it was last passed over.
    fn drop_one(&mut self) {
        while let Some(hash) = self.order.pop_front() {
            let Some(chunk) = self.chunks.get(&hash) else {
                continue;
            };
            // Each chunk is passed over once at most, so this ends.
            if chunk.used.swap(false, Ordering::Relaxed) {
                self.order.push_back(hash);
                continue;
            }
            self.bytes -= chunk.bytes();
            self.chunks.remove(&hash);
            self.evictions += 1;
            return;
        }
    }

    pub(super) fn add_to(&self, stats: &mut KeyCacheStats) {
        stats.chunks += self.chunks.len() as u64;
        stats.bytes += self.bytes as u64;
        stats.evictions += self.evictions;
    }
}
