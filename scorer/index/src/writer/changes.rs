//! `Stored` and `Removed`.
//!
//! Neighbouring blocks mostly have the same set, so the last change of a set is
//! kept at hand: for a run of equal blocks the sets cost nothing.

use proto_model::{BlockKey, Medium};

use super::{CHUNK, SWEEP_PER_KEY, Writer};
use crate::intern::{Edit, SetsFull};
use crate::set_id::SetId;
use crate::shared::TOUCH;

/// The last change of a set, and how many blocks have made it.
#[derive(Debug, Default)]
struct Step {
    known: Option<(SetId, SetId)>,
    blocks: u32,
}

impl Writer {
    pub(super) fn store(&mut self, slot: u32, medium: Medium, keys: &[BlockKey]) {
        let edit = Edit::Add { slot, medium };
        let mut last = None;
        for chunk in keys.chunks(CHUNK) {
            self.keep_books(chunk.len() * SWEEP_PER_KEY);
            let (mut step, mut touched, mut stored) = (Step::default(), 0, 0);
            for at in 0..chunk.len() {
                let found = self.find(chunk, at, last, &mut touched);
                let result = match found {
                    Some(slot) => self.join(slot, edit, &mut step),
                    None => self.store_new(chunk[at].0, edit, last),
                };
                match result {
                    Ok((slot, new)) => {
                        last = Some(slot);
                        stored += i64::from(new);
                    }
                    Err(SetsFull) => self.refuse(1),
                }
            }
            self.settle(&mut step);
            self.count(slot, stored);
        }
    }

    pub(super) fn remove(&mut self, slot: u32, medium: Medium, keys: &[BlockKey]) {
        let edit = Edit::Take { slot, medium };
        let mut last = None;
        for chunk in keys.chunks(CHUNK) {
            self.keep_books(chunk.len() * SWEEP_PER_KEY);
            let (mut step, mut touched, mut removed) = (Step::default(), 0, 0);
            for at in 0..chunk.len() {
                let found = self.find(chunk, at, last, &mut touched);
                let Some(slot) = found else { continue };
                last = Some(slot);
                removed += i64::from(self.remove_at(slot, edit, &mut step));
            }
            self.settle(&mut step);
            self.count(slot, -removed);
        }
    }

    /// The slot of one key of a chunk. Where neighbours do not lie side by side,
    /// the memory for the next few keys is looked at together.
    fn find(
        &self,
        chunk: &[BlockKey],
        at: usize,
        last: Option<u32>,
        touched: &mut usize,
    ) -> Option<u32> {
        let key = chunk[at].0;
        self.near(key, last).or_else(|| {
            if at >= *touched {
                *touched = chunk.len().min(at + TOUCH);
                self.core.touch(&chunk[at..*touched]);
            }
            self.place(key).map(|place| place.slot)
        })
    }

    /// Adds a block that nobody has held; where it lies.
    fn store_new(
        &mut self,
        key: u64,
        edit: Edit,
        last: Option<u32>,
    ) -> Result<(u32, bool), SetsFull> {
        let set = self.sets.edit(&self.core, SetId::EMPTY, edit)?;
        self.add(key, set, last)
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

    /// Takes the membership away; whether there was one.
    fn remove_at(&mut self, at: u32, edit: Edit, step: &mut Step) -> bool {
        let before = self.set_at(at);
        let Ok(after) = self.step(before, edit, step) else {
            self.settle(step);
            self.forget_block(at, before);
            return false;
        };
        if after == before {
            return false;
        }
        step.blocks += 1;
        if after == SetId::EMPTY {
            self.drop_block(at);
        } else {
            self.put_set(at, after);
        }
        true
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

    pub(super) fn set_at(&self, at: u32) -> SetId {
        self.core
            .page(at)
            .map_or(SetId::EMPTY, |(page, offset)| page.set(offset))
    }

    pub(super) fn put_set(&self, at: u32, set: SetId) {
        if let Ok((page, offset)) = self.core.page(at) {
            page.put_set(offset, set);
        }
    }
}
