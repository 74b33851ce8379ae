//! Single blocks: finding, adding, dropping.

use std::sync::Arc;

use super::Writer;
use crate::arena::Seek;
use crate::lanes;
use crate::set_id::{SetId, SetView};
use crate::shared::{Core, Page};
use crate::table::KeyHash;

/// Where the table names a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) hash: KeyHash,
    pub(super) at: usize,
    pub(super) slot: u32,
}

impl Writer {
    /// Finds a block's slot if it lies right behind or before the slot `last`.
    pub(super) fn near(&self, key: u64, last: Option<u32>) -> Option<u32> {
        let holds = |slot: &u32| {
            let page = self.core.page(*slot);
            page.is_ok_and(|(page, at)| page.set(at) != SetId::EMPTY && page.key(at) == key)
        };
        let behind = last?.checked_add(1).filter(holds);
        behind.or_else(|| last?.checked_sub(1).filter(holds))
    }

    /// Finds a block's place in the table.
    pub(super) fn place(&self, key: u64) -> Option<Place> {
        let hash = self.core.hash(key);
        let table = &self.core.table[hash.sub];
        let mut at = table.home(hash.tag);
        loop {
            let entry = table.get(at);
            if entry.is_empty() {
                return None;
            }
            if let Some(slot) = entry.slot().filter(|_| entry.tag() == hash.tag)
                && self
                    .core
                    .page(slot)
                    .is_ok_and(|(page, offset)| page.key(offset) == key)
            {
                return Some(Place { hash, at, slot });
            }
            at = table.next(at);
        }
    }

    /// Adds a block, if possible right after the slot `after`. Its set must have
    /// been counted; `None` if there is no memory.
    pub(super) fn add(&mut self, key: u64, set: SetId, after: Option<u32>) -> Option<u32> {
        let hash = self.core.hash(key);
        if !self.make_entry_room(hash.sub) {
            return None;
        }
        let slot = self.take_slot(after)?;
        self.put(slot, key, set);
        let fresh = self.core.table[hash.sub].insert(hash.tag, slot);
        let count = &mut self.counts[hash.sub];
        count.live += 1;
        count.filled += u32::from(fresh);
        self.blocks += 1;
        Some(slot)
    }

    /// Drops a block whose set has become empty.
    pub(super) fn drop_block(&mut self, slot: u32) {
        let Ok((page, offset)) = self.core.page(slot) else {
            return;
        };
        page.put_set(offset, SetId::EMPTY);
        let Some(place) = self.place(page.key(offset)) else {
            return;
        };
        let emptied = self.core.table[place.hash.sub].remove(place.at);
        self.arena.rest(slot);
        self.blocks -= 1;
        let count = &mut self.counts[place.hash.sub];
        count.live -= 1;
        count.filled -= emptied;
        let len = self.core.table[place.hash.sub].len();
        if let Some(len) = self.counts[place.hash.sub].shrink_to(len) {
            self.rebuild(place.hash.sub, len);
        }
    }

    /// Drops a block although somebody holds it, because there is no memory to
    /// say who still does: too short an answer rather than a wrong one.
    pub(super) fn forget_block(&mut self, slot: u32, set: SetId) {
        for (member, media) in members(&self.core, set) {
            if self.core.holder(member).is_some() {
                self.roster.count(member, -i64::from(media));
                self.memberships -= u64::from(media);
                self.refuse(u64::from(media));
            }
        }
        self.sets.release(&self.core, set, 1);
        self.drop_block(slot);
    }

    /// Writes a block into a free slot, the key before the set.
    pub(super) fn put(&self, slot: u32, key: u64, set: SetId) {
        if let Ok((page, offset)) = self.core.page(slot) {
            page.put_key(offset, key);
            page.put_set(offset, set);
        }
    }

    fn take_slot(&mut self, after: Option<u32>) -> Option<u32> {
        if let Some(slot) = self.arena.take(after, Seek::Roomy) {
            return Some(slot);
        }
        let number = self.arena.next_page() as usize;
        let room = self.sets.room.checked_sub(size_of::<Page>() + 256);
        let place = self.core.pages.get(number);
        if let (Some(room), Some(place)) = (room, place)
            && place.set(Arc::new(Page::new())).is_ok()
        {
            self.sets.room = room;
            self.arena.add_page();
        }
        self.arena.take(None, Seek::Any)
    }

    fn make_entry_room(&mut self, sub: usize) -> bool {
        let table = &self.core.table[sub];
        let Some(len) = self.counts[sub].grow_to(table.len()) else {
            return true;
        };
        if len > table.len() {
            let Some(room) = self.sets.room.checked_sub(len * 8) else {
                // Without memory to grow, go on until one place must stay empty.
                return (self.counts[sub].filled as usize) + 1 < table.len();
            };
            self.sets.room = room;
        }
        self.rebuild(sub, len);
        true
    }

    fn rebuild(&mut self, sub: usize, len: usize) {
        let table = self.core.table[sub].rebuilt(len);
        self.table_bytes = self.table_bytes + table.bytes() - self.core.table[sub].bytes();
        self.counts[sub].filled = self.counts[sub].live;
        let mut core = (*self.core).clone();
        core.table[sub] = Arc::new(table);
        self.publish(core);
    }
}

/// The slots of a set and on how many media each has the block.
fn members(core: &Core, set: SetId) -> Vec<(u32, u32)> {
    let count = |nibbles, shift| u32::from(lanes::media(nibbles, shift).bits()).count_ones();
    match set.view() {
        SetView::Empty => Vec::new(),
        SetView::One { slot, media } => vec![(slot, u32::from(media.bits()).count_ones())],
        SetView::Record(record) => {
            let words = core.lanes(record).unwrap_or_default().iter();
            words
                .map(|word| word.load(std::sync::atomic::Ordering::Relaxed))
                .flat_map(|lane| {
                    let (number, nibbles) = (lanes::number(lane), lane & lanes::NIBBLES);
                    lanes::shifts(nibbles)
                        .map(move |shift| (lanes::slot(number, shift), count(nibbles, shift)))
                })
                .collect()
        }
    }
}
