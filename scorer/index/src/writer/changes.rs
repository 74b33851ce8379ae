//! `Stored` and `Removed`.
//!
//! Neighbouring blocks mostly have the same set, so the last change of a set is
//! kept at hand: for a run of equal blocks the sets cost nothing. Where blocks lie
//! side by side and have one set, eight are changed at once.

use proto_model::{BlockKey, Medium};

use super::ahead::Ahead;
use super::blocks::Probe;
use super::{CHUNK, SWEEP_PER_KEY, Writer};
use crate::intern::{Edit, SetsFull};
use crate::page::GROUP;
use crate::set_id::SetId;
use crate::table::KeyHash;

/// The last place of a group.
const LAST: usize = GROUP - 1;

/// The last change of a set, and how many blocks have made it.
#[derive(Debug, Default)]
struct Step {
    known: Option<(SetId, SetId)>,
    blocks: u32,
}

impl Writer {
    pub(super) fn store(&mut self, slot: u32, medium: Medium, keys: &[BlockKey]) {
        let edit = Edit::Add { slot, medium };
        let (mut last, mut ahead) = (None, Ahead::new(keys));
        let mut at = 0;
        while at < keys.len() {
            let end = keys.len().min(at + CHUNK);
            self.keep_books((end - at) * SWEEP_PER_KEY);
            let (mut step, mut stored) = (Step::default(), 0);
            while at < end {
                if let Some(first) = self.near_group(&keys[at..], last)
                    && let Ok(joined) = self.join_group(first.slot, edit, &mut step)
                {
                    stored += i64::from(joined);
                    last = Some(first.end());
                    at += GROUP;
                    continue;
                }
                let key = keys[at].0;
                let result = match self.near(key, last) {
                    Some(slot) => self.join(slot, edit, &mut step),
                    None => {
                        let hash = ahead.hash(self.core(), at);
                        let probe = self.probe(hash, key);
                        ahead.expect_blocks(matches!(probe, Probe::Found { .. }));
                        match probe {
                            Probe::Found { slot, .. } => self.join(slot, edit, &mut step),
                            Probe::Vacant { at } => self.store_new((key, hash, at), edit, last),
                        }
                    }
                };
                match result {
                    Ok((slot, new)) => {
                        last = Some(slot);
                        stored += i64::from(new);
                    }
                    Err(SetsFull) => self.refuse(1),
                }
                at += 1;
            }
            self.settle(&mut step);
            self.count(slot, stored);
        }
        self.settle_group();
    }

    pub(super) fn remove(&mut self, slot: u32, medium: Medium, keys: &[BlockKey]) {
        let edit = Edit::Take { slot, medium };
        let (mut last, mut ahead) = (None, Ahead::new(keys));
        let mut at = 0;
        while at < keys.len() {
            let end = keys.len().min(at + CHUNK);
            self.keep_books((end - at) * SWEEP_PER_KEY);
            let (mut step, mut removed) = (Step::default(), 0);
            while at < end {
                if let Some(first) = self.near_group(&keys[at..], last)
                    && let Some(left) = self.leave_group(first.slot, edit, &mut step)
                {
                    if matches!(left, Left::Nobody) {
                        (at..at + GROUP).for_each(|at| self.drop_ahead(&mut ahead, at));
                    }
                    removed += GROUP as i64;
                    last = Some(first.end());
                    at += GROUP;
                    continue;
                }
                let key = keys[at].0;
                let near = self.near(key, last);
                ahead.expect_blocks(near.is_none());
                let found = near.or_else(|| {
                    let hash = ahead.hash(self.core(), at);
                    match self.probe(hash, key) {
                        Probe::Found { slot, .. } => Some(slot),
                        Probe::Vacant { .. } => None,
                    }
                });
                if let Some(found) = found {
                    last = Some(found);
                    match self.leave(found, edit, &mut step) {
                        Left::Not => {}
                        Left::Others => removed += 1,
                        Left::Nobody => {
                            removed += 1;
                            self.drop_ahead(&mut ahead, at);
                        }
                    }
                }
                at += 1;
            }
            self.settle(&mut step);
            self.count(slot, -removed);
        }
        self.settle_group();
    }

    fn drop_ahead(&mut self, ahead: &mut Ahead<'_>, at: usize) {
        let hash = ahead.hash(self.core(), at);
        self.drop_key(ahead.key(at), hash);
    }

    /// The group beside the slot `last`, behind or before it, if it has one set
    /// and its blocks are the next keys.
    #[inline]
    fn near_group(&self, keys: &[BlockKey], last: Option<u32>) -> Option<Group> {
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
    fn join_group(&mut self, first: u32, edit: Edit, step: &mut Step) -> Result<u32, SetsFull> {
        let before = self.set_at(first);
        let after = self.step(before, edit, step)?;
        if after == before {
            return Ok(0);
        }
        self.put_group(first, after);
        step.blocks += GROUP as u32;
        Ok(GROUP as u32)
    }

    /// Takes the membership away from all blocks of a group with one set; who is
    /// left, if that can be said for all at once. Blocks with nobody left are for
    /// the caller to drop.
    fn leave_group(&mut self, first: u32, edit: Edit, step: &mut Step) -> Option<Left> {
        let before = self.set_at(first);
        let after = self.step(before, edit, step).ok()?;
        if after == before {
            return None;
        }
        step.blocks += GROUP as u32;
        if after == SetId::EMPTY {
            return Some(Left::Nobody);
        }
        self.put_group(first, after);
        Some(Left::Others)
    }

    fn put_group(&self, first: u32, set: SetId) {
        if let Ok((page, offset)) = self.core.page(first) {
            page.put_group(offset, set);
        }
    }

    /// Adds a block that nobody has held; where it lies.
    #[inline]
    fn store_new(
        &mut self,
        block: (u64, KeyHash, Option<usize>),
        edit: Edit,
        last: Option<u32>,
    ) -> Result<(u32, bool), SetsFull> {
        let set = self.sets.edit(&self.core, SetId::EMPTY, edit)?;
        self.add(block, set, last)
            .map(|slot| (slot, true))
            .ok_or(SetsFull)
    }

    /// Adds the membership to a block that somebody holds; whether it is new.
    #[inline]
    fn join(&mut self, at: u32, edit: Edit, step: &mut Step) -> Result<(u32, bool), SetsFull> {
        let before = self.set_at(at);
        let after = self.step(before, edit, step)?;
        if after != before {
            self.put_set(at, after);
            step.blocks += 1;
        }
        Ok((at, after != before))
    }

    /// Takes the membership away; who is left. A block with nobody left is for
    /// the caller to drop.
    #[inline]
    fn leave(&mut self, at: u32, edit: Edit, step: &mut Step) -> Left {
        let before = self.set_at(at);
        let Ok(after) = self.step(before, edit, step) else {
            self.settle(step);
            self.forget_block(at, before);
            return Left::Not;
        };
        if after == before {
            return Left::Not;
        }
        step.blocks += 1;
        if after == SetId::EMPTY {
            return Left::Nobody;
        }
        self.put_set(at, after);
        Left::Others
    }

    #[inline]
    fn step(&mut self, before: SetId, edit: Edit, step: &mut Step) -> Result<SetId, SetsFull> {
        if let Some((_, after)) = step.known.filter(|(known, _)| *known == before) {
            return Ok(after);
        }
        self.settle(step);
        let after = self.sets.edit(&self.core, before, edit)?;
        step.known = Some((before, after));
        Ok(after)
    }

    /// Moves the blocks' references from the set before to the set after.
    fn settle(&mut self, step: &mut Step) {
        let blocks = std::mem::take(&mut step.blocks);
        if let Some((before, after)) = step.known.take().filter(|_| blocks > 0) {
            self.sets.refer(&self.core, after, blocks);
            self.sets.release(&self.core, before, blocks);
        }
    }

    fn count(&mut self, slot: u32, change: i64) {
        self.roster.count(slot, change);
        self.memberships = self.memberships.saturating_add_signed(change);
    }
}

/// Eight blocks side by side.
struct Group {
    /// The first's slot.
    slot: u32,
    /// Whether the last key is the first block's.
    backwards: bool,
}

impl Group {
    /// The slot of the last key.
    fn end(&self) -> u32 {
        if self.backwards {
            self.slot
        } else {
            self.slot + GROUP as u32 - 1
        }
    }
}

/// Who holds a block after somebody has left it.
enum Left {
    /// Nothing has changed.
    Not,
    Others,
    Nobody,
}
