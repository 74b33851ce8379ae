//! Emptying pages that have become sparse, so that their memory can go.

use proto_model::BlockKey;

use super::{CHUNK, Writer};
use crate::arena::Seek;
use crate::page::{GROUP, PAGE};
use crate::set_id::SetId;
use crate::table::KeyHash;

impl Writer {
    /// Looks at up to `steps` blocks of a sparse page and moves them elsewhere.
    /// `idle`: nobody waits, so that a page need not be very sparse.
    pub(super) fn compact(&mut self, steps: usize, idle: bool) {
        if self.victim.is_none() {
            self.victim = self.arena.choose_victim(idle).map(|page| (page, 0));
        }
        let Some((page, begin)) = self.victim else {
            return;
        };
        let end = (begin + steps.min(CHUNK)).min(PAGE);
        if !self.move_blocks(page, begin, end) {
            self.arena.spare(page);
            self.victim = None;
            return;
        }
        self.victim = if end < PAGE {
            Some((page, end))
        } else {
            self.arena.choose_victim(idle).map(|page| (page, 0))
        };
    }

    /// Whether all blocks could be moved.
    fn move_blocks(&mut self, page: u32, begin: usize, end: usize) -> bool {
        let (mut alike, mut count) = ([(0, 0); CHUNK], 0);
        let mut hashes = [KeyHash::default(); CHUNK];
        let mut offset = begin;
        while offset < end {
            let first = (page as usize * PAGE + offset) as u32;
            let (_, blocks) = self.alike(first, end - offset);
            self.clean_before_move((first, blocks));
            let page = self.core.page(first).ok().map(|(page, _)| page);
            if let Some(page) = page.filter(|page| page.set(offset) != SetId::EMPTY) {
                for at in offset..offset + blocks as usize {
                    hashes[at - begin] = self.core.claim_entry(page.key(at));
                }
                alike[count] = (first, blocks);
                count += 1;
            }
            offset += blocks as usize;
        }
        self.settle_group();
        let (mut last, mut moved) = (None, true);
        for &(first, blocks) in &alike[..count] {
            let at = first as usize % PAGE - begin;
            let hashes = &hashes[at..at + blocks as usize];
            let group = hashes.first_chunk();
            let end = group.and_then(|hashes| self.move_group(first, hashes, last));
            let end = end.or_else(|| self.move_singly(first, hashes, last));
            moved &= end.is_some();
            last = end;
        }
        self.settle_group();
        moved
    }

    /// Moves the blocks of a group that has one set to a place where they are a
    /// group again; the last one's slot. `None`: there is no such place at hand.
    fn move_group(
        &mut self,
        from: u32,
        hashes: &[KeyHash; GROUP],
        after: Option<u32>,
    ) -> Option<u32> {
        let to = self.arena.next_group(after, Seek::Packed)?;
        let entries = hashes.iter().zip(from..);
        let mut places = [0; GROUP];
        for (place, (hash, slot)) in places.iter_mut().zip(entries) {
            *place = self.core.table[hash.sub].position(hash.tag, slot)?;
        }
        let (page, offset) = self.core.page(from).ok()?;
        let keys = std::array::from_fn(|at| BlockKey(page.key(offset + at)));
        let set = page.set(offset);
        let (beyond, beyond_offset) = self.core.page(to).ok()?;
        beyond.put_new_group(beyond_offset, &keys, set, &self.core.shares);
        self.arena.take_group(to);
        for ((hash, place), slot) in hashes.iter().zip(places).zip(to..) {
            self.core.table[hash.sub].set(place, hash.tag, slot);
        }
        page.put_group(offset, SetId::EMPTY);
        self.arena.rest_group(from);
        Some(to + GROUP as u32 - 1)
    }

    fn move_singly(&mut self, from: u32, hashes: &[KeyHash], last: Option<u32>) -> Option<u32> {
        let mut blocks = (from..).zip(hashes);
        blocks.try_fold(last, |last, (slot, hash)| {
            self.move_block(slot, *hash, last).map(Some)
        })?
    }

    /// A reader that still looks at the old slot sees either the block there, or
    /// nothing; then it finds that the entry has changed, and follows it.
    fn move_block(&mut self, from: u32, hash: KeyHash, after: Option<u32>) -> Option<u32> {
        let (page, offset) = self.core.page(from).ok()?;
        let (key, set) = (page.key(offset), page.set(offset));
        let at = self.core.table[hash.sub].position(hash.tag, from)?;
        let to = self.take_slot(after, Seek::Packed)?;
        self.put(to, key, set);
        self.core.table[hash.sub].set(at, hash.tag, to);
        if let Ok((page, offset)) = self.core.page(from) {
            page.put_set(offset, SetId::EMPTY);
        }
        self.arena.rest(from);
        Some(to)
    }
}
