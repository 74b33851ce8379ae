//! Single blocks: finding, adding, dropping.

use std::sync::Arc;

use super::Writer;
use crate::arena::Seek;
use crate::lanes;
use crate::page::{GROUP, Page};
use crate::set_id::{SetId, SetView};
use crate::shared::{Core, TOUCH};
use crate::table::{Entry, KeyHash, grow_to, shrink_to};

/// What the table says about a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Probe {
    /// The slot where its block lies.
    Found(u32),
    /// Nobody holds it; where its entry would go.
    Vacant { at: Option<usize> },
}

impl Writer {
    /// Finds a block's slot if it lies right behind or before the slot `last`.
    #[inline]
    pub(super) fn near(&self, key: u64, last: Option<u32>) -> Option<u32> {
        let holds = |slot: &u32| {
            let page = self.core.page(*slot);
            page.is_ok_and(|(page, offset)| page.set_of(offset, key).is_some())
        };
        let behind = last?.checked_add(1).filter(holds);
        behind.or_else(|| last?.checked_sub(1).filter(holds))
    }

    /// Looks a key up in the table.
    #[inline]
    pub(super) fn probe(&self, hash: KeyHash, key: u64) -> Probe {
        let table = &self.core.table[hash.sub];
        let (mut bucket, mut vacant) = (table.home(hash.tag), None);
        for _ in 0..table.span() {
            let scan = table.scan(bucket, hash.tag);
            for at in scan.alike() {
                let Entry { tag, slot } = table.get(at);
                if tag == hash.tag
                    && let Ok((page, offset)) = self.core.page(slot)
                    && page.key(offset) == key
                {
                    return Probe::Found(slot);
                }
            }
            vacant = vacant.or_else(|| scan.vacant());
            if vacant.is_some() && scan.is_last() {
                break;
            }
            bucket = table.next(bucket);
        }
        Probe::Vacant { at: vacant }
    }

    /// Adds a block that has no entry, if possible right after the slot `after`, else as `seek` says;
    /// its entry goes to `at`. Its set must have been counted; `None` if there is
    /// no memory.
    #[inline]
    pub(super) fn add(
        &mut self,
        (key, hash, at): (u64, KeyHash, Option<usize>),
        set: SetId,
        (after, seek): (Option<u32>, Seek),
    ) -> Option<u32> {
        let at = match self.make_entry_room(hash.sub) {
            Room::Enough => at?,
            Room::Rebuilt => self.core.table[hash.sub].vacancy(hash.tag),
            Room::None => return None,
        };
        let slot = self.take_slot(after, seek)?;
        self.put(slot, key, set);
        self.core.table[hash.sub].insert(at, hash.tag, slot);
        self.counts[hash.sub] += 1;
        self.blocks += 1;
        Some(slot)
    }

    /// Drops the blocks in some slots, whose sets have become empty.
    pub(super) fn drop_blocks(&mut self, slots: &[u32]) {
        let mut hashes = [KeyHash::default(); TOUCH];
        for slots in slots.chunks(TOUCH) {
            for (at, slot) in slots.iter().enumerate() {
                let page = self.core.page(*slot);
                let key = page.map_or(0, |(page, offset)| page.key(offset));
                hashes[at] = self.core.claim_entry(key);
            }
            for at in 0..slots.len() {
                self.drop_block(slots[at], hashes[at]);
            }
        }
    }

    /// Drops the block in a slot, whose set has become empty.
    #[inline]
    pub(super) fn drop_block(&mut self, slot: u32, hash: KeyHash) {
        if let Ok((page, offset)) = self.core.page(slot) {
            page.put_set(offset, SetId::EMPTY);
        }
        if self.unlist(slot, hash) {
            self.arena.rest(slot);
            self.blocks -= 1;
        }
    }

    /// Takes the entry of a slot out of the table; whether there was one.
    #[inline]
    pub(super) fn unlist(&mut self, slot: u32, hash: KeyHash) -> bool {
        let table = &self.core.table[hash.sub];
        let Some(at) = table.position(hash.tag, slot) else {
            return false;
        };
        table.remove(at, hash.tag);
        let live = &mut self.counts[hash.sub];
        *live -= 1;
        if let Some(len) = shrink_to(*live, table.len(), false) {
            self.rebuild(hash.sub, len);
        }
        true
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
        self.drop_blocks(&[slot]);
    }

    /// Writes a block into a free slot.
    #[inline]
    pub(super) fn put(&mut self, slot: u32, key: u64, set: SetId) {
        self.open_group(slot);
        if let Ok((page, offset)) = self.core.page(slot) {
            page.put(offset, key, set, &self.core.shares);
        }
    }

    #[inline]
    pub(super) fn set_at(&self, slot: u32) -> SetId {
        self.core
            .page(slot)
            .map_or(SetId::EMPTY, |(page, offset)| page.set(offset))
    }

    #[inline]
    pub(super) fn put_set(&mut self, slot: u32, set: SetId) {
        self.open_group(slot);
        if let Ok((page, offset)) = self.core.page(slot) {
            page.put_set(offset, set);
        }
    }

    /// Begins to change sets in the group of a slot.
    #[inline]
    fn open_group(&mut self, slot: u32) {
        let first = slot - slot % GROUP as u32;
        if self.open != Some(first) {
            self.settle_group();
            self.open = Some(first);
        }
    }

    /// Has the group that was changed last say whether its blocks have one set.
    #[inline]
    pub(super) fn settle_group(&mut self) {
        if let Some(first) = self.open.take()
            && let Ok((page, offset)) = self.core.page(first)
        {
            page.settle(offset);
        }
    }

    /// Takes a slot, in a new page if necessary and possible.
    #[inline]
    pub(super) fn take_slot(&mut self, after: Option<u32>, seek: Seek) -> Option<u32> {
        if let Some(slot) = self.arena.take(after, seek) {
            return Some(slot);
        }
        let number = self.arena.next_page() as usize;
        let room = self.sets.room.checked_sub(size_of::<Page>() + 256);
        let place = self.core.pages.get(number);
        if let (Some(room), Some(place)) = (room, place)
            && place.set(Arc::new(Page::new(&self.core.shares))).is_ok()
        {
            self.sets.room = room;
            self.arena.add_page();
            if let Some(slot) = self.arena.take(None, seek) {
                return Some(slot);
            }
        }
        self.arena.take(None, Seek::Any)
    }

    #[inline]
    fn make_entry_room(&mut self, sub: usize) -> Room {
        let table = &self.core.table[sub];
        let Some(len) = grow_to(self.counts[sub], table.len()) else {
            return Room::Enough;
        };
        if len > table.len() {
            let Some(room) = self.sets.room.checked_sub(len * 10) else {
                // Without memory to grow, go on until it is full.
                let is_left = (self.counts[sub] as usize) < table.len();
                return if is_left { Room::Enough } else { Room::None };
            };
            self.sets.room = room;
        }
        self.rebuild(sub, len);
        Room::Rebuilt
    }

    /// Makes pieces of the table fit what is in them, as many as have so many
    /// places together; whether more are left.
    pub(super) fn fit_table(&mut self, places: usize) -> bool {
        let mut left = places;
        for sub in 0..self.core.table.len() {
            let len = self.core.table[sub].len();
            if let Some(fit) = shrink_to(self.counts[sub], len, true) {
                self.rebuild(sub, fit);
                let Some(rest) = left.checked_sub(len) else {
                    return true;
                };
                left = rest;
            }
        }
        false
    }

    fn rebuild(&mut self, sub: usize, len: usize) {
        let table = self.core.table[sub].rebuilt(len);
        self.table_bytes = self.table_bytes + table.bytes() - self.core.table[sub].bytes();
        let mut core = (*self.core).clone();
        core.table[sub] = table;
        self.publish(core);
    }
}

/// Whether a piece of the table can take one more entry.
enum Room {
    Enough,
    /// It can now, and all entries have moved.
    Rebuilt,
    None,
}

/// The slots of a set and on how many media each has the block; one on several
/// media may be named several times.
fn members(core: &Core, set: SetId) -> Vec<(u32, u32)> {
    match set.view() {
        SetView::Empty => Vec::new(),
        SetView::One { slot, media } => vec![(slot, u32::from(media.bits()).count_ones())],
        SetView::Record(record) => {
            let words = core.lanes(record).unwrap_or_default().iter();
            words
                .map(|word| word.load(std::sync::atomic::Ordering::Relaxed))
                .flat_map(|lane| lanes::members(lane).map(|slot| (slot, 1)))
                .collect()
        }
    }
}
