//! Blocks side by side, and what can be said about eight of them at once.
//!
//! ```text
//!           ┌──── group ────┐
//!  keys     k0 k1 k2 ... k7 │ k8 ...      8 B each
//!  sets     s0 s1 s2 ... s7 │ s8 ...      4 B each
//!  shared   the set of all eight, or 0    4 B per group
//!  sums     of the shares of k0 to k7     8 B per group
//! ```
//!
//! A lookup along a long run reads the last two only: an eighth of the memory.
//! Eight keys of a prompt that have the group's sum are the group's keys: that
//! others have it is as unlikely as that two blocks have the same key.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use proto_model::BlockKey;

use crate::prefetch::prefetch;
use crate::set_id::SetId;
use crate::shares::Shares;

/// Blocks per page.
pub(crate) const PAGE: usize = 1024;

/// Blocks per group.
pub(crate) const GROUP: usize = 8;

const GROUPS: usize = PAGE / GROUP;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Blocks that lie side by side, in prefix order as far as possible.
#[derive(Debug)]
pub(crate) struct Page {
    /// The set of all blocks of a group; empty if they have different ones.
    shared: [AtomicU32; GROUPS],
    /// The shares of all keys of a group, those of free slots included.
    sums: [AtomicU64; GROUPS],
    /// Who holds the block; empty if the slot is free.
    sets: [AtomicU32; PAGE],
    /// The key; meaningful only if the set, read *before* it, is not empty.
    keys: [AtomicU64; PAGE],
}

impl Page {
    pub(crate) fn new(shares: &Shares) -> Self {
        let empty = shares.sum(&[BlockKey(0); GROUP]);
        Self {
            shared: std::array::from_fn(|_| AtomicU32::new(0)),
            sums: std::array::from_fn(|_| AtomicU64::new(empty)),
            sets: std::array::from_fn(|_| AtomicU32::new(0)),
            keys: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// The holder set of a slot.
    #[inline]
    pub(crate) fn set(&self, offset: usize) -> SetId {
        SetId(self.sets[offset].load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn key(&self, offset: usize) -> u64 {
        self.keys[offset].load(Ordering::Acquire)
    }

    /// The set of a slot, if its block is the one with the key, and held.
    #[inline]
    pub(crate) fn set_of(&self, offset: usize, key: u64) -> Option<SetId> {
        // The set first: only then is the key surely the one that it belongs to.
        let set = self.set(offset);
        (set != SetId::EMPTY && self.key(offset) == key).then_some(set)
    }

    /// Asks for the memory that a look at a slot needs.
    #[inline]
    pub(crate) fn prefetch(&self, offset: usize) {
        prefetch(&self.sets[offset]);
        prefetch(&self.keys[offset]);
    }

    /// Asks for the memory that going on from a slot needs, too.
    #[inline]
    pub(crate) fn prefetch_run(&self, offset: usize) {
        self.prefetch(offset);
        let groups = offset / GROUP..GROUPS;
        for group in groups.clone().step_by(LINE / 4).take(2) {
            prefetch(&self.shared[group]);
        }
        for group in groups.step_by(LINE / 8).take(4) {
            prefetch(&self.sums[group]);
        }
    }

    /// The set that all blocks of the group at `offset` have, if it is one.
    #[inline]
    pub(crate) fn shared_set(&self, offset: usize) -> SetId {
        SetId(self.shared[offset / GROUP].load(Ordering::Acquire))
    }

    /// The set of all blocks of the group at `offset`, if it is one and their keys
    /// have the sum.
    #[inline]
    pub(crate) fn group_set(&self, offset: usize, sum: impl FnOnce() -> u64) -> Option<SetId> {
        let set = self.shared_set(offset);
        let is_same = || self.sums[offset / GROUP].load(Ordering::Relaxed) == sum();
        (set != SetId::EMPTY && is_same()).then_some(set)
    }

    /// How many of the keys, in whole groups, are those of the groups from
    /// `offset` on, which have the set in common.
    #[inline(always)]
    pub(crate) fn groups_with(
        &self,
        offset: usize,
        set: SetId,
        keys: &[BlockKey],
        shares: &Shares,
    ) -> usize {
        let begin = offset / GROUP;
        let groups = self.shared[begin..].iter().zip(&self.sums[begin..]);
        let mut same = 0;
        for ((shared, sum), keys) in groups.zip(keys.as_chunks::<GROUP>().0) {
            // The set first: a sum from before would be that of a free slot's old key.
            let is_shared = shared.load(Ordering::Acquire) == set.0;
            if !is_shared || sum.load(Ordering::Relaxed) != shares.sum(keys) {
                break;
            }
            same += GROUP;
        }
        same
    }

    /// Changes who holds the block in a slot. [`Page::settle`] its group when
    /// that is done.
    #[inline]
    pub(crate) fn put_set(&self, offset: usize, set: SetId) {
        let shared = &self.shared[offset / GROUP];
        if shared.load(Ordering::Relaxed) != 0 {
            shared.store(0, Ordering::Release);
        }
        self.sets[offset].store(set.0, Ordering::Release);
    }

    /// Changes who holds the blocks of the group at `offset`: all the same.
    #[inline]
    pub(crate) fn put_group(&self, offset: usize, set: SetId) {
        let shared = &self.shared[offset / GROUP];
        shared.store(0, Ordering::Release);
        for block in &self.sets[offset..][..GROUP] {
            block.store(set.0, Ordering::Release);
        }
        shared.store(set.0, Ordering::Release);
    }

    /// Puts a block into a free slot, the key before the set.
    #[inline]
    pub(crate) fn put(&self, offset: usize, key: u64, set: SetId, shares: &Shares) {
        let sum = &self.sums[offset / GROUP];
        let before = shares.of(offset, self.keys[offset].load(Ordering::Relaxed));
        let others = sum.load(Ordering::Relaxed).wrapping_sub(before);
        let now = others.wrapping_add(shares.of(offset, key));
        sum.store(now, Ordering::Relaxed);
        self.keys[offset].store(key, Ordering::Release);
        self.put_set(offset, set);
    }

    /// Puts eight blocks into a group of free slots, the keys before the sets.
    #[inline]
    pub(crate) fn put_new_group(
        &self,
        offset: usize,
        keys: &[BlockKey; GROUP],
        set: SetId,
        shares: &Shares,
    ) {
        self.sums[offset / GROUP].store(shares.sum(keys), Ordering::Relaxed);
        for (place, key) in self.keys[offset..][..GROUP].iter().zip(keys) {
            place.store(key.0, Ordering::Relaxed);
        }
        self.put_group(offset, set);
    }

    /// Says of the group of a slot whether all its blocks have one set.
    #[inline]
    pub(crate) fn settle(&self, offset: usize) {
        let group = offset / GROUP;
        let sets = &self.sets[group * GROUP..][..GROUP];
        let first = sets[0].load(Ordering::Relaxed);
        let differ = sets.iter().fold(0, |differ, set| {
            differ | (set.load(Ordering::Relaxed) ^ first)
        });
        let shared = if differ == 0 { first } else { 0 };
        if self.shared[group].load(Ordering::Relaxed) != shared {
            self.shared[group].store(shared, Ordering::Release);
        }
    }

    /// Whether what the page says about its groups is true.
    #[cfg(test)]
    pub(crate) fn audit(&self, shares: &Shares) {
        for group in 0..GROUPS {
            let slots = || group * GROUP..(group + 1) * GROUP;
            let keys = std::array::from_fn(|at| BlockKey(self.key(group * GROUP + at)));
            let sum = shares.sum(&keys);
            assert_eq!(self.sums[group].load(Ordering::Relaxed), sum, "{group}");
            let shared = SetId(self.shared[group].load(Ordering::Relaxed));
            let agree = slots().all(|at| self.set(at) == self.set(slots().start));
            let expected = if agree {
                self.set(slots().start)
            } else {
                SetId::EMPTY
            };
            assert_eq!(shared, expected, "settled: {group}");
        }
    }
}
