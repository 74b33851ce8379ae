//! A part of the cache with a lock of its own. Who makes room is decided by the
//! clock algorithm: a hand goes round, and what was used since it last came by
//! stays for another round.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{CachedPiece, TokenCacheStats};

/// Aligned so that threads that count in different shards share no cache line.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Shard {
    budget: usize,
    clock: Mutex<Clock>,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
}

#[derive(Debug, Default)]
struct Clock {
    slots: Vec<Slot>,
    /// Slots without a piece.
    free: Vec<usize>,
    by_hash: HashMap<u64, usize>,
    hand: usize,
    /// Of the pieces alone.
    piece_bytes: usize,
}

#[derive(Debug)]
struct Slot {
    hash: u64,
    /// Used since the hand last came by.
    used: bool,
    piece: Option<Arc<CachedPiece>>,
}

impl Shard {
    pub(super) fn new(budget: usize) -> Self {
        Self {
            budget,
            clock: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
        }
    }

    /// What is held under the hash. The caller compares it, after the lock is gone.
    pub(super) fn find(&self, hash: u64) -> Option<Arc<CachedPiece>> {
        let mut clock = self.clock.lock();
        let at = *clock.by_hash.get(&hash)?;
        let slot = clock.slots.get_mut(at)?;
        slot.used = true;
        slot.piece.clone()
    }

    pub(super) fn count(&self, hit: bool) {
        let counter = if hit { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether so many bytes may be held as one piece: one of more than half of the
    /// shard is not worth all others.
    pub(super) fn takes(&self, bytes: usize) -> bool {
        bytes <= self.budget / 2
    }

    /// Holds a piece that it [`takes`](Self::takes) under its hash, in place of what
    /// was there.
    pub(super) fn keep(&self, hash: u64, piece: CachedPiece) {
        let piece = Arc::new(piece);
        let mut gone = Vec::new();
        let mut clock = self.clock.lock();
        let same = clock.remove(hash);
        clock.make_room(self.budget.saturating_sub(piece.bytes()), &mut gone);
        clock.insert(hash, piece);
        // The tables may have grown.
        clock.make_room(self.budget, &mut gone);
        drop(clock);
        self.evictions
            .fetch_add(gone.len() as u64, Ordering::Relaxed);
        // Freed only now: freeing takes longer than anything under the lock.
        drop((same, gone));
    }

    pub(super) fn add_to(&self, stats: &mut TokenCacheStats) {
        stats.hits += self.hits.load(Ordering::Relaxed);
        stats.misses += self.misses.load(Ordering::Relaxed);
        stats.evictions += self.evictions.load(Ordering::Relaxed);
        let clock = self.clock.lock();
        stats.pieces += clock.by_hash.len() as u64;
        stats.bytes += clock.bytes() as u64;
    }
}

/// Slots from which on there may not be more than four times as many as pieces.
const SPARSE: usize = 64;

impl Clock {
    /// Bytes of the pieces and of the tables, in which what is gone leaves its room.
    fn bytes(&self) -> usize {
        // Of eight places in the table seven are used, each with a byte of its own.
        let places = self.by_hash.capacity().div_ceil(7) * 8;
        let tables = places * (size_of::<(u64, usize)>() + 1)
            + self.slots.capacity() * size_of::<Slot>()
            + self.free.capacity() * size_of::<usize>();
        self.piece_bytes + tables
    }

    /// Drops pieces until no more than so many bytes are held.
    fn make_room(&mut self, most: usize, gone: &mut Vec<Arc<CachedPiece>>) {
        while self.bytes() > most {
            match self.evict() {
                Some(piece) => gone.push(piece),
                // Only the tables are left.
                None => return *self = Self::default(),
            }
            if self.slots.len() >= SPARSE && self.by_hash.len() < self.slots.len() / 4 {
                self.compact();
            }
        }
    }

    /// Gives the room of what is gone back: after many small pieces a few large ones
    /// would else be held in tables for the many.
    fn compact(&mut self) {
        let held = |slot: &Slot| slot.piece.is_some();
        let passed = self.slots.iter().take(self.hand + 1);
        self.hand = passed.filter(|slot| held(slot)).count().saturating_sub(1);
        self.slots.retain(held);
        self.slots.shrink_to_fit();
        let places = self.slots.iter().enumerate();
        self.by_hash = places.map(|(at, slot)| (slot.hash, at)).collect();
        self.free = Vec::new();
    }

    fn insert(&mut self, hash: u64, piece: Arc<CachedPiece>) {
        self.piece_bytes += piece.bytes();
        let slot = Slot {
            hash,
            // Not yet: what is asked for once only goes first. The hand has just
            // been here, and comes by again after a whole round.
            used: false,
            piece: Some(piece),
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.by_hash.insert(hash, at);
    }

    fn remove(&mut self, hash: u64) -> Option<Arc<CachedPiece>> {
        let at = self.by_hash.remove(&hash)?;
        let piece = self.slots[at].piece.take()?;
        self.free.push(at);
        self.piece_bytes -= piece.bytes();
        Some(piece)
    }

    /// Drops the first piece that the hand finds unused. Ends: one round unmarks
    /// every piece, and it is called only while there are any.
    fn evict(&mut self) -> Option<Arc<CachedPiece>> {
        for _ in 0..=2 * self.slots.len() {
            self.hand = (self.hand + 1) % self.slots.len().max(1);
            let slot = self.slots.get_mut(self.hand)?;
            if slot.piece.is_some() && !std::mem::take(&mut slot.used) {
                let hash = slot.hash;
                return self.remove(hash);
            }
        }
        None
    }
}
