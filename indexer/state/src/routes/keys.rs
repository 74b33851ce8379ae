//! Keys by use and by expiry.
//!
//! ```text
//!  by_key: key ──▶ slot number
//!  slots:  oldest ⇄ slot ⇄ slot ⇄ newest      by use, linked both ways
//!  due:    (time, slot number)                at or before the key's expiry
//! ```
//!
//! A key that is used again expires later, which `due` need not know at once: its
//! entry stays where it is, and moves when its time has come. So a prefix that
//! every prompt begins with costs one lookup per use.

use std::collections::BTreeSet;

use hashbrown::HashTable;

use crate::table::mix;

/// Ends lists.
const NONE: u32 = u32::MAX;

/// The expiry of a key that stays as long as there is room.
const NEVER: u64 = u64::MAX;

#[derive(Debug, Clone, Copy)]
struct Slot {
    key: u64,
    /// [`NEVER`], or microseconds.
    expires_at: u64,
    /// Where `due` has it; [`NEVER`] if it has it not.
    due_at: u64,
    /// The next older and the next newer slot. Of a free slot, `newer` is the
    /// next free one.
    older: u32,
    newer: u32,
    /// Whether readers have still to be told.
    untold: bool,
}

/// Keys, each with its expiry, in the order of their last use.
#[derive(Debug, Clone)]
pub(crate) struct RouteKeys {
    slots: Vec<Slot>,
    by_key: HashTable<u32>,
    due: BTreeSet<(u64, u32)>,
    oldest: u32,
    newest: u32,
    free: u32,
}

impl Default for RouteKeys {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            by_key: HashTable::new(),
            due: BTreeSet::new(),
            oldest: NONE,
            newest: NONE,
            free: NONE,
        }
    }
}

impl RouteKeys {
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Bytes allocated, about.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.by_key.allocation_size()
            + self.due.len() * size_of::<(u64, u32)>()
    }

    pub(crate) fn contains(&self, key: u64) -> bool {
        self.find(key).is_some()
    }

    /// The most recently used first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = u64> {
        let at = |at: u32| self.slots.get(at as usize);
        let slots = std::iter::successors(at(self.newest), move |slot| at(slot.older));
        slots.map(|slot| slot.key)
    }

    /// Keys and expiries, the least recently used first, from the slot `from` on
    /// or from the first. At most `most`, and where the next ones begin.
    pub(crate) fn page(
        &self,
        from: Option<u32>,
        most: usize,
    ) -> (Vec<(u64, Option<u64>)>, Option<u32>) {
        let mut at = from.unwrap_or(self.oldest);
        let mut page = Vec::new();
        while page.len() < most
            && let Some(slot) = self.slots.get(at as usize)
        {
            let expires_at = (slot.expires_at != NEVER).then_some(slot.expires_at);
            page.push((slot.key, expires_at));
            at = slot.newer;
        }
        (page, (at != NONE).then_some(at))
    }

    /// Makes the key the most recently used, and lets it expire no earlier than
    /// `expires_at`. Whether it is new.
    pub(crate) fn touch(&mut self, key: u64, expires_at: Option<u64>) -> bool {
        let expires_at = expires_at.unwrap_or(NEVER);
        let Some(at) = self.find(key) else {
            self.insert(key, expires_at);
            return true;
        };
        let slot = &mut self.slots[at as usize];
        slot.expires_at = slot.expires_at.max(expires_at);
        if self.newest != at {
            self.unlink(at);
            self.link_newest(at);
        }
        false
    }

    /// Drops the `count` least recently used keys, and gives those of them that
    /// readers know, in that order.
    pub(crate) fn evict(&mut self, count: usize) -> Vec<u64> {
        let mut told = Vec::new();
        for _ in 0..count.min(self.len()) {
            let Slot { key, untold, .. } = self.slots[self.oldest as usize];
            self.remove_slot(self.oldest);
            if !untold {
                told.push(key);
            }
        }
        told
    }

    /// Whether readers have to be told of the key; from now on not any more.
    pub(crate) fn tell(&mut self, key: u64) -> bool {
        let Some(at) = self.find(key) else {
            return false;
        };
        std::mem::replace(&mut self.slots[at as usize].untold, false)
    }

    /// Drops the key; whether it was there.
    pub(crate) fn remove(&mut self, key: u64) -> bool {
        let found = self.find(key);
        found.into_iter().for_each(|at| self.remove_slot(at));
        found.is_some()
    }

    /// Whether [`Self::expire`] may find something.
    pub(crate) fn is_due(&self, until: u64) -> bool {
        self.due.first().is_some_and(|(at, _)| *at <= until)
    }

    /// Drops the keys that expire at or before `until` and gives them, ascending:
    /// the order of `due` is no part of the state.
    pub(crate) fn expire(&mut self, until: u64) -> Vec<u64> {
        let mut gone = Vec::new();
        while let Some((due_at, at)) = self.due.first().copied()
            && due_at <= until
        {
            let Slot {
                key, expires_at, ..
            } = self.slots[at as usize];
            if expires_at <= until {
                gone.push(key);
                self.remove_slot(at);
            } else {
                self.due.pop_first();
                self.remind(at, expires_at);
            }
        }
        gone.sort_unstable();
        gone
    }

    fn find(&self, key: u64) -> Option<u32> {
        let same = |at: &u32| self.slots[*at as usize].key == key;
        self.by_key.find(mix(key), same).copied()
    }

    fn insert(&mut self, key: u64, expires_at: u64) {
        let slot = Slot {
            key,
            expires_at,
            due_at: NEVER,
            older: NONE,
            newer: NONE,
            untold: true,
        };
        let at = if let Some(free) = self.slots.get_mut(self.free as usize) {
            let at = self.free;
            self.free = free.newer;
            *free = slot;
            at
        } else {
            self.slots.push(slot);
            // Limits keep tables far below 2^32 keys.
            u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
        };
        let slots = &self.slots;
        let hash = |other: &u32| mix(slots[*other as usize].key);
        self.by_key.insert_unique(mix(key), at, hash);
        self.link_newest(at);
        self.remind(at, expires_at);
    }

    /// Has `due` look at the slot at this time.
    fn remind(&mut self, at: u32, time: u64) {
        self.slots[at as usize].due_at = time;
        if time != NEVER {
            self.due.insert((time, at));
        }
    }

    fn remove_slot(&mut self, at: u32) {
        let Slot { key, due_at, .. } = self.slots[at as usize];
        self.unlink(at);
        self.due.remove(&(due_at, at));
        if let Ok(found) = self.by_key.find_entry(mix(key), |other| *other == at) {
            found.remove();
        }
        self.slots[at as usize].newer = self.free;
        self.free = at;
        if self.by_key.is_empty() {
            // Let go of what a burst took.
            *self = Self::default();
        }
    }

    fn link_newest(&mut self, at: u32) {
        let before = self.newest;
        let slot = &mut self.slots[at as usize];
        (slot.older, slot.newer) = (before, NONE);
        match self.slots.get_mut(before as usize) {
            Some(before) => before.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
    }

    fn unlink(&mut self, at: u32) {
        let Slot { older, newer, .. } = self.slots[at as usize];
        match self.slots.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
    }
}
