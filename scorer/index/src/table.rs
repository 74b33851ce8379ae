//! From a block key's hash to the slot where the block lies.
//!
//! Open addressing with linear probing, in [`SUB_TABLES`] independent pieces so
//! that growing one is short. An entry is `tag << 32 | slot + 1`. The tag is
//! also what the home position is computed from, order-preserving, so a piece
//! is rebuilt by one pass over it without a look at the keys.

use std::sync::atomic::{AtomicU64, Ordering};

/// Pieces of the table.
pub(crate) const SUB_TABLES: usize = 256;

/// Entries of a piece at least.
const MIN_LEN: usize = 16;

/// An entry that was removed while entries behind it were in use.
const TOMB: u64 = 1 << 32;

/// Where a key belongs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KeyHash {
    /// Which piece.
    pub(crate) sub: usize,
    /// Decides the home position, and tells most other keys apart.
    pub(crate) tag: u32,
}

impl KeyHash {
    /// Mixes the key with a seed, so that nobody can choose keys that collide.
    pub(crate) fn of(key: u64, seed: u64) -> Self {
        let product = u128::from(key ^ seed) * 0x9e37_79b9_7f4a_7c15_u128;
        let hash = (product >> 64) as u64 ^ product as u64;
        Self {
            sub: (hash >> 56) as usize,
            tag: (hash >> 24) as u32,
        }
    }
}

/// One piece.
#[derive(Debug)]
pub(crate) struct SubTable {
    entries: Box<[AtomicU64]>,
}

impl SubTable {
    pub(crate) fn new(len: usize) -> Self {
        Self {
            entries: (0..len.max(MIN_LEN)).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.len() * 8
    }

    /// The position where a search for the tag begins.
    pub(crate) fn home(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.entries.len() as u64) >> 32) as usize
    }

    /// The position after `at`.
    pub(crate) fn next(&self, at: usize) -> usize {
        if at + 1 == self.entries.len() {
            0
        } else {
            at + 1
        }
    }

    /// The entry at a position.
    pub(crate) fn get(&self, at: usize) -> Entry {
        Entry(self.entries[at].load(Ordering::Acquire))
    }

    /// The first slot with the tag: nearly always the right one.
    pub(crate) fn likely_slot(&self, tag: u32) -> Option<u32> {
        let mut at = self.home(tag);
        for _ in 0..self.entries.len() {
            let entry = self.get(at);
            if entry.is_empty() || (entry.tag() == tag && entry.slot().is_some()) {
                return entry.slot();
            }
            at = self.next(at);
        }
        None
    }

    /// Points the entry at another slot.
    pub(crate) fn set(&self, at: usize, tag: u32, slot: u32) {
        let entry = u64::from(tag) << 32 | (u64::from(slot) + 1);
        self.entries[at].store(entry, Ordering::Release);
    }

    /// The first place that an entry with the tag can take.
    pub(crate) fn vacancy(&self, tag: u32) -> usize {
        let mut at = self.home(tag);
        while self.get(at).slot().is_some() {
            at = self.next(at);
        }
        at
    }

    /// Takes the entry away; returns how many places became empty again.
    pub(crate) fn remove(&self, at: usize) -> u32 {
        if !self.get(self.next(at)).is_empty() {
            self.entries[at].store(TOMB, Ordering::Release);
            return 0;
        }
        let (mut at, mut emptied) = (at, 0);
        loop {
            self.entries[at].store(0, Ordering::Release);
            emptied += 1;
            at = at.checked_sub(1).unwrap_or(self.entries.len() - 1);
            if self.get(at).0 != TOMB {
                return emptied;
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn live(&self) -> usize {
        (0..self.len())
            .filter(|at| self.get(*at).slot().is_some())
            .count()
    }

    /// The same entries in a new piece of `len` places.
    pub(crate) fn rebuilt(&self, len: usize) -> Self {
        let table = Self::new(len);
        for at in 0..self.entries.len() {
            let entry = self.get(at);
            if let Some(slot) = entry.slot() {
                table.set(table.vacancy(entry.tag()), entry.tag(), slot);
            }
        }
        table
    }
}

/// What one place of a piece says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry(u64);

impl Entry {
    /// Whether no search goes beyond this place.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(crate) fn slot(self) -> Option<u32> {
        (self.0 as u32).checked_sub(1)
    }
}

/// How full a piece is: the writer's own count.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SubCount {
    /// Entries.
    pub(crate) live: u32,
    /// Entries and tombs.
    pub(crate) filled: u32,
}

impl SubCount {
    /// The length that the piece should be rebuilt to before one more entry: the
    /// same, if it is only that tombs have become many.
    pub(crate) fn grow_to(self, len: usize) -> Option<usize> {
        let is_full = self.filled as usize >= len - len / 4;
        let is_large_enough = (self.live as usize) < len / 8 * 5;
        is_full.then(|| {
            if is_large_enough {
                len
            } else {
                self.comfortable()
            }
        })
    }

    /// The length that the piece should be rebuilt to because it is too large.
    pub(crate) fn shrink_to(self, len: usize) -> Option<usize> {
        (len > 2 * MIN_LEN && (self.live as usize) < len / 4).then(|| self.comfortable())
    }

    /// Leaves half filled, half as much again until the next growth. Fuller than
    /// three quarters, a search for a key that is not there gets long.
    fn comfortable(self) -> usize {
        (self.live as usize * 2).max(MIN_LEN)
    }
}
