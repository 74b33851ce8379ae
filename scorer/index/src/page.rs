//! Blocks side by side, and what can be said about eight of them at once.
//!
//! ```text
//!           ┌──── group ────┐
//!  keys     k0 k1 k2 ... k7 │ k8 ...      8 B each
//!  sets     s0 s1 s2 ... s7 │ s8 ...      4 B each
//!  shared   the set of all eight, or 0    4 B per group
//!  sums     Σ share(k0..k7)               8 B per group
//! ```
//!
//! A lookup along a long run reads the last two only: an eighth of the memory.
//! Eight keys of a prompt that have the group's sum are the group's keys; that
//! another eight have the same sum is as unlikely as that two blocks have the
//! same key, and nobody can look for such, because the shares depend on the
//! index's seed. The order within a group does not matter to an answer: all
//! eight have one set.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use proto_model::BlockKey;

use crate::set_id::SetId;

/// Blocks per page.
pub(crate) const PAGE: usize = 1024;

/// Blocks per group.
pub(crate) const GROUP: usize = 8;

const GROUPS: usize = PAGE / GROUP;

/// What a key adds to its group's sum. No multiplication of 64 bits, so that the
/// compiler can do several keys at once on any x86-64; each half is multiplied
/// by both, so that keys that are not hashes differ, too.
pub(crate) fn share(key: u64, seed: u64) -> u64 {
    const LOW: u64 = 0xffff_ffff;
    let seeded = key ^ seed;
    let folded = seeded ^ (seeded >> 32);
    (seeded & LOW) * (folded & LOW)
}

fn total(keys: &[BlockKey], seed: u64) -> u64 {
    keys.iter()
        .fold(0, |sum, key| sum.wrapping_add(share(key.0, seed)))
}

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
    pub(crate) fn new(seed: u64) -> Self {
        let empty = share(0, seed).wrapping_mul(GROUP as u64);
        Self {
            shared: std::array::from_fn(|_| AtomicU32::new(0)),
            sums: std::array::from_fn(|_| AtomicU64::new(empty)),
            sets: std::array::from_fn(|_| AtomicU32::new(0)),
            keys: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// The holder set of a slot.
    pub(crate) fn set(&self, offset: usize) -> SetId {
        SetId(self.sets[offset].load(Ordering::Acquire))
    }

    pub(crate) fn key(&self, offset: usize) -> u64 {
        self.keys[offset].load(Ordering::Acquire)
    }

    /// The set of a slot, if its block is the one with the key, and held.
    pub(crate) fn set_of(&self, offset: usize, key: u64) -> Option<SetId> {
        // The set first: only then is the key surely the one that it belongs to.
        let set = self.set(offset);
        (set != SetId::EMPTY && self.key(offset) == key).then_some(set)
    }

    /// The set of all blocks of the group that begins at `offset`, if they are
    /// those with the first keys, in any order.
    pub(crate) fn group_set(&self, offset: usize, keys: &[BlockKey], seed: u64) -> Option<SetId> {
        let group = offset / GROUP;
        let set = SetId(self.shared[group].load(Ordering::Acquire));
        let keys = keys.get(..GROUP).filter(|_| set != SetId::EMPTY)?;
        (self.sums[group].load(Ordering::Relaxed) == total(keys, seed)).then_some(set)
    }

    /// How many of the keys, in whole groups, are those of the groups from
    /// `offset` on, which have the set in common.
    pub(crate) fn groups_with(
        &self,
        offset: usize,
        set: SetId,
        keys: &[BlockKey],
        seed: u64,
    ) -> usize {
        let begin = offset / GROUP;
        let groups = self.shared[begin..].iter().zip(&self.sums[begin..]);
        let same = groups
            .zip(keys.as_chunks::<GROUP>().0)
            .take_while(|((shared, sum), keys)| {
                shared.load(Ordering::Acquire) == set.0
                    && sum.load(Ordering::Relaxed) == total(*keys, seed)
            });
        same.count() * GROUP
    }

    /// Changes who holds the block in a slot. [`Page::settle`] its group when
    /// that is done.
    pub(crate) fn put_set(&self, offset: usize, set: SetId) {
        let shared = &self.shared[offset / GROUP];
        if shared.load(Ordering::Relaxed) != 0 {
            shared.store(0, Ordering::Release);
        }
        self.sets[offset].store(set.0, Ordering::Release);
    }

    /// Changes who holds the blocks of the group at `offset`: all the same.
    pub(crate) fn put_group(&self, offset: usize, set: SetId) {
        let shared = &self.shared[offset / GROUP];
        shared.store(0, Ordering::Release);
        for block in &self.sets[offset..][..GROUP] {
            block.store(set.0, Ordering::Release);
        }
        shared.store(set.0, Ordering::Release);
    }

    /// Puts a block into a free slot, the key before the set.
    pub(crate) fn put(&self, offset: usize, key: u64, set: SetId, seed: u64) {
        let sum = &self.sums[offset / GROUP];
        let before = share(self.keys[offset].load(Ordering::Relaxed), seed);
        let now = sum.load(Ordering::Relaxed).wrapping_sub(before);
        sum.store(now.wrapping_add(share(key, seed)), Ordering::Relaxed);
        self.keys[offset].store(key, Ordering::Release);
        self.put_set(offset, set);
    }

    /// Says of the group of a slot whether all its blocks have one set.
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
    pub(crate) fn audit(&self, seed: u64) {
        for group in 0..GROUPS {
            let slots = || group * GROUP..(group + 1) * GROUP;
            let sum = slots().fold(0_u64, |sum, at| sum.wrapping_add(share(self.key(at), seed)));
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
