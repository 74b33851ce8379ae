//! `Stored` and `Removed`.
//!
//! Neighbouring blocks mostly have the same set, so the last change of a set is
//! kept at hand: for a run of equal blocks the sets cost nothing. Where blocks lie
//! side by side and have one set, eight are changed at once.

use proto_model::{BlockKey, Medium};

use super::ahead::Ahead;
use super::blocks::Probe;
use super::{CHUNK, Writer};
use crate::arena::Seek;
use crate::intern::{Edit, SetsFull};
use crate::page::GROUP;
use crate::set_id::SetId;
use crate::table::KeyHash;

/// As many new blocks are worth a few unused slots before them.
const LONG: usize = 64;

/// The last change of a set, and how many blocks have made it.
#[derive(Debug, Default)]
pub(super) struct Step {
    known: Option<(SetId, SetId)>,
    pub(super) blocks: u32,
}

impl Writer {
    pub(super) fn store(&mut self, slot: u32, medium: Medium, keys: &[BlockKey]) {
        let edit = Edit::Add { slot, medium };
        let (mut last, mut ahead) = (None, Ahead::new(keys));
        let (mut at, mut is_fresh) = (0, false);
        while at < keys.len() {
            let end = keys.len().min(at + CHUNK);
            self.keep_books_for_stores(end - at);
            let (mut step, mut stored) = (Step::default(), 0);
            while at < end {
                if let Some(first) = self.near_group(&keys[at..], last)
                    && let Ok(joined) = self.join_group(&first, edit, &mut step)
                {
                    stored += i64::from(joined);
                    last = Some(first.end());
                    at += GROUP;
                    continue;
                }
                if is_fresh && let Some(end) = self.store_group(&mut ahead, (keys, at), edit, last)
                {
                    stored += GROUP as i64;
                    last = Some(end);
                    at += GROUP;
                    continue;
                }
                let key = keys[at].0;
                is_fresh = false;
                let result = match self.near(key, last) {
                    Some(slot) => self.join(slot, edit, &mut step),
                    None => {
                        let hash = ahead.hash(self.core(), at);
                        let probe = self.probe(hash, key);
                        ahead.expect_blocks(matches!(probe, Probe::Found(_)));
                        match probe {
                            Probe::Found(slot) => self.join(slot, edit, &mut step),
                            Probe::Vacant { at: place } => {
                                is_fresh = true;
                                let seek = seek(keys.len() - at);
                                self.store_new((key, hash, place), edit, (last, seek))
                            }
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
            self.keep_books_for_removals(end - at);
            let (mut step, mut removed) = (Step::default(), 0);
            while at < end {
                if let Some(first) = self.near_group(&keys[at..], last)
                    && let Some(left) = self.leave_group(&first, edit, &mut step)
                {
                    if matches!(left, Left::Nobody) {
                        self.drop_group(&first, &mut ahead, at);
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
                        Probe::Found(slot) => Some(slot),
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
                            let hash = ahead.hash(self.core(), at);
                            self.drop_block(found, hash);
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

    /// Adds a block that nobody has held; where it lies.
    #[inline]
    fn store_new(
        &mut self,
        block: (u64, KeyHash, Option<usize>),
        edit: Edit,
        place: (Option<u32>, Seek),
    ) -> Result<(u32, bool), SetsFull> {
        let set = self.sets.edit(&self.core, SetId::EMPTY, edit)?;
        self.add(block, set, place)
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
    pub(super) fn step(
        &mut self,
        before: SetId,
        edit: Edit,
        step: &mut Step,
    ) -> Result<SetId, SetsFull> {
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

/// Where a new run begins.
fn seek(keys: usize) -> Seek {
    if keys < LONG {
        Seek::Roomy
    } else {
        Seek::Aligned
    }
}

/// Who holds a block after somebody has left it.
pub(super) enum Left {
    /// Nothing has changed.
    Not,
    Others,
    Nobody,
}
