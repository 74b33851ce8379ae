//! Emptying pages that have become sparse, so that their memory can go.

use super::blocks::Probe;
use super::{CHUNK, Writer};
use crate::arena::Seek;
use crate::page::PAGE;
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
        let (mut keys, mut slots) = ([0; CHUNK], [0; CHUNK]);
        let (mut hashes, mut count) = ([KeyHash::default(); CHUNK], 0);
        for offset in begin..end {
            let from = (page as usize * PAGE + offset) as u32;
            self.clean_before_move(from);
            if self.set_at(from) != SetId::EMPTY
                && let Ok((page, offset)) = self.core.page(from)
            {
                (keys[count], slots[count]) = (page.key(offset), from);
                hashes[count] = self.core.claim_entry(keys[count]);
                count += 1;
            }
        }
        let mut last = None;
        for at in 0..count {
            last = self.move_block(slots[at], (keys[at], hashes[at]), last);
            if last.is_none() {
                break;
            }
        }
        self.settle_group();
        count == 0 || last.is_some()
    }

    /// A reader that still looks at the old slot sees either the block there, or
    /// nothing; then it finds that the entry has changed, and follows it.
    fn move_block(
        &mut self,
        from: u32,
        (key, hash): (u64, KeyHash),
        after: Option<u32>,
    ) -> Option<u32> {
        let set = self.set_at(from);
        let Probe::Found { at, .. } = self.probe(hash, key) else {
            return None;
        };
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
