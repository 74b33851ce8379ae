//! `Stored` and `Removed`.
//!
//! Neighbouring blocks mostly have the same set, so the last change of a set is
//! kept at hand: for a run of equal blocks the sets cost nothing. Where blocks lie
//! side by side and have one set, eight are changed at once.

use proto_model::{BlockKey, Medium};

use super::blocks::Probe;
use super::{CHUNK, SWEEP_PER_KEY, Writer};
use crate::intern::{Edit, SetsFull};
use crate::page::GROUP;
use crate::set_id::SetId;
use crate::shared::TOUCH;
use crate::table::KeyHash;

/// The last change of a set, and how many blocks have made it.
#[derive(Debug, Default)]
struct Step {
    known: Option<(SetId, SetId)>,
    blocks: u32,
}

/// Hashes of the next keys of a chunk, whose memory has been looked at.
#[derive(Debug, Default)]
struct Ahead {
    hashes: [KeyHash; TOUCH],
    begin: usize,
    end: usize,
}

impl Ahead {
    /// The hash of a key; `blocks`: whether somebody may hold it, so that its
    /// block's memory will be needed, too.
    fn hash(&mut self, writer: &Writer, chunk: &[BlockKey], at: usize, blocks: bool) -> KeyHash {
        if !(self.begin..self.end).contains(&at) {
            let keys = &chunk[at..chunk.len().min(at + TOUCH)];
            (self.begin, self.end) = (at, at + keys.len());
            let hashes = &mut self.hashes[..keys.len()];
            writer.core().touch_entries(keys, hashes);
            if blocks {
                writer.core().touch_blocks(hashes);
            }
        }
        self.hashes[at - self.begin]
    }
}

impl Writer {
    pub(super) fn store(&mut self, slot: u32, medium: Medium, keys: &[BlockKey]) {
        let edit = Edit::Add { slot, medium };
        let (mut last, mut is_known) = (None, true);
        for chunk in keys.chunks(CHUNK) {
            self.keep_books(chunk.len() * SWEEP_PER_KEY);
            let (mut step, mut ahead) = (Step::default(), Ahead::default());
            let (mut at, mut stored) = (0, 0);
            while at < chunk.len() {
                if let Some(first) = self.near_group(&chunk[at..], last)
                    && let Ok(joined) = self.join_group(first.slot, edit, &mut step)
                {
                    stored += i64::from(joined);
                    last = Some(first.end());
                    at += GROUP;
                    continue;
                }
                let key = chunk[at].0;
                let result = match self.near(key, last) {
                    Some(slot) => self.join(slot, edit, &mut step),
                    None => {
                        let hash = ahead.hash(self, chunk, at, is_known);
                        let probe = self.probe(hash, key);
                        is_known = matches!(probe, Probe::Found { .. });
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
        let mut last = None;
        for chunk in keys.chunks(CHUNK) {
            self.keep_books(chunk.len() * SWEEP_PER_KEY);
            let (mut step, mut ahead) = (Step::default(), Ahead::default());
            let (mut at, mut removed) = (0, 0);
            while at < chunk.len() {
                if let Some(first) = self.near_group(&chunk[at..], last)
                    && self.leave_group(first.slot, edit, &mut step)
                {
                    removed += GROUP as i64;
                    last = Some(first.end());
                    at += GROUP;
                    continue;
                }
                let key = chunk[at].0;
                let found = self.near(key, last).or_else(|| {
                    let hash = ahead.hash(self, chunk, at, true);
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
                            let hash = ahead.hash(self, chunk, at, false);
                            self.drop_key(key, hash);
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

    /// The group beside the slot `last`, behind or before it, if it has one set
    /// and its blocks are the next keys.
    fn near_group(&self, keys: &[BlockKey], last: Option<u32>) -> Option<Group> {
        let last = last?;
        let (slot, backwards) = match last % GROUP as u32 {
            0 => (last.checked_sub(GROUP as u32)?, true),
            7 => (last.checked_add(1)?, false),
            _ => return None,
        };
        let (page, offset) = self.core.page(slot).ok()?;
        page.group_set(offset, keys, self.core.seed)?;
        Some(Group { slot, backwards })
    }

    /// Adds the membership to all blocks of a group with one set; how many are
    /// new.
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

    /// Takes the membership away from all blocks of a group with one set, if
    /// others hold them, too.
    fn leave_group(&mut self, first: u32, edit: Edit, step: &mut Step) -> bool {
        let before = self.set_at(first);
        match self.step(before, edit, step) {
            Ok(after) if after != before && after != SetId::EMPTY => {
                self.put_group(first, after);
                step.blocks += GROUP as u32;
                true
            }
            _ => false,
        }
    }

    fn put_group(&self, first: u32, set: SetId) {
        if let Ok((page, offset)) = self.core.page(first) {
            page.put_group(offset, set);
        }
    }

    /// Adds a block that nobody has held; where it lies.
    fn store_new(
        &mut self,
        block: (u64, KeyHash, usize),
        edit: Edit,
        last: Option<u32>,
    ) -> Result<(u32, bool), SetsFull> {
        let set = self.sets.edit(&self.core, SetId::EMPTY, edit)?;
        self.add(block, set, last)
            .map(|slot| (slot, true))
            .ok_or(SetsFull)
    }

    /// Adds the membership to a block that somebody holds; whether it is new.
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
