//! Eight blocks at once: those that lie side by side and have one set.

use proto_model::BlockKey;

use super::Writer;
use super::ahead::Ahead;
use super::changes::{Left, Step};
use crate::arena::Seek;
use crate::intern::{Edit, SetsFull};
use crate::page::GROUP;
use crate::set_id::SetId;
use crate::table::{KeyHash, grow_to};

/// Groups whose entries are asked for side by side.
const AT_ONCE: usize = 4;

/// The last place of a group.
const LAST: usize = GROUP - 1;

/// Eight blocks side by side, and which of them the first key is.
pub(super) struct Group {
    /// The first's slot.
    slot: u32,
    /// Whether the last key is the first block's.
    backwards: bool,
}

impl Group {
    /// The slot of a key.
    #[inline]
    fn slot(&self, key: usize) -> u32 {
        let place = if self.backwards { LAST - key } else { key };
        self.slot + place as u32
    }

    /// The slot of the last key.
    #[inline]
    pub(super) fn end(&self) -> u32 {
        self.slot(LAST)
    }
}

impl Writer {
    /// The group beside the slot `last`, behind or before it, if it has one set
    /// and its blocks are the next keys.
    #[inline]
    pub(super) fn near_group(&self, keys: &[BlockKey], last: Option<u32>) -> Option<Group> {
        let (last, keys) = (last?, keys.first_chunk()?);
        let (slot, backwards) = match last as usize % GROUP {
            0 => (last.checked_sub(GROUP as u32)?, true),
            LAST => (last.checked_add(1)?, false),
            _ => return None,
        };
        let (page, offset) = self.core.page(slot).ok()?;
        let shares = &self.core.shares;
        page.group_set(offset, || match backwards {
            false => shares.sum(keys),
            true => shares.sum_reversed(keys),
        })?;
        Some(Group { slot, backwards })
    }

    /// Adds the membership to all blocks of a group with one set; how many are
    /// new.
    #[inline]
    pub(super) fn join_group(
        &mut self,
        group: &Group,
        edit: Edit,
        step: &mut Step,
    ) -> Result<u32, SetsFull> {
        let before = self.set_at(group.slot);
        let after = self.step(before, edit, step)?;
        if after == before {
            return Ok(0);
        }
        self.put_group(group.slot, after);
        step.blocks += GROUP as u32;
        Ok(GROUP as u32)
    }

    /// Takes the membership away from all blocks of a group with one set; who is
    /// left, if that can be said for all at once. Blocks with nobody left are for
    /// the caller to drop.
    pub(super) fn leave_group(
        &mut self,
        group: &Group,
        edit: Edit,
        step: &mut Step,
    ) -> Option<Left> {
        let before = self.set_at(group.slot);
        let after = self.step(before, edit, step).ok()?;
        if after == before {
            return None;
        }
        step.blocks += GROUP as u32;
        if after == SetId::EMPTY {
            return Some(Left::Nobody);
        }
        self.put_group(group.slot, after);
        Some(Left::Others)
    }

    /// Adds the next eight keys behind the slot `last`, if nobody holds any of
    /// them and there is room for them together. Gives the last one's slot. All
    /// else is left to be done key by key.
    #[inline]
    pub(super) fn store_group(
        &mut self,
        ahead: &mut Ahead<'_>,
        (keys, at): (&[BlockKey], usize),
        edit: Edit,
        last: Option<u32>,
    ) -> Option<u32> {
        let keys = keys.get(at..)?.first_chunk()?;
        let slot = self.arena.next_group(Some(last?), Seek::Aligned)?;
        let hashes = std::array::from_fn(|key| ahead.hash(&self.core, at + key));
        if !self.are_new(&hashes) {
            return None;
        }
        let set = self.sets.edit(&self.core, SetId::EMPTY, edit).ok()?;
        let (page, offset) = self.core.page(slot).ok()?;
        page.put_new_group(offset, keys, set, &self.core.shares);
        self.arena.take_group(slot);
        for (slot, hash) in (slot..).zip(hashes) {
            let table = &self.core.table[hash.sub];
            table.insert(table.vacancy(hash.tag), hash.tag, slot);
            self.counts[hash.sub] += 1;
        }
        self.blocks += GROUP;
        Some(slot + LAST as u32)
    }

    /// Whether nobody holds any of a group's keys, no two of which are the same,
    /// and the table can take them as it is.
    #[inline]
    fn are_new(&self, hashes: &[KeyHash; GROUP]) -> bool {
        let are_absent = hashes.iter().all(|hash| {
            let table = &self.core.table[hash.sub];
            let most = self.counts[hash.sub] + GROUP as u32;
            grow_to(most, table.len()).is_none() && table.is_absent(hash.tag)
        });
        are_absent && (1..GROUP).all(|key| !hashes[..key].contains(&hashes[key]))
    }

    /// Drops the blocks of a group, whose set has become empty; `at` is the place
    /// of the first key.
    pub(super) fn drop_group(&mut self, group: &Group, ahead: &mut Ahead<'_>, at: usize) {
        self.put_group(group.slot, SetId::EMPTY);
        for key in 0..GROUP {
            let hash = ahead.hash(&self.core, at + key);
            self.unlist(group.slot(key), hash);
        }
        self.arena.rest_group(group.slot);
        self.blocks -= GROUP;
    }

    /// Drops the blocks of groups, given by their first slots, whose sets have
    /// become empty.
    pub(super) fn drop_groups(&mut self, groups: &[u32]) {
        let mut hashes = [[KeyHash::default(); GROUP]; AT_ONCE];
        for groups in groups.chunks(AT_ONCE) {
            for (hashes, first) in hashes.iter_mut().zip(groups) {
                *hashes = self.entries_of(*first);
                self.put_group(*first, SetId::EMPTY);
            }
            for (hashes, first) in hashes.iter().zip(groups) {
                for (slot, hash) in (*first..).zip(hashes) {
                    self.unlist(slot, *hash);
                }
                self.arena.rest_group(*first);
                self.blocks -= GROUP;
            }
        }
    }

    /// The hashes of a group's keys, whose entries are asked for.
    fn entries_of(&self, first: u32) -> [KeyHash; GROUP] {
        std::array::from_fn(|place| {
            let key = match self.core.page(first) {
                Ok((page, offset)) => page.key(offset + place),
                Err(_) => 0,
            };
            self.core.claim_entry(key)
        })
    }

    /// Changes who holds the blocks of a group.
    pub(super) fn put_group(&self, first: u32, set: SetId) {
        if let Ok((page, offset)) = self.core.page(first) {
            page.put_group(offset, set);
        }
    }
}
