//! Which holder has which slot: the writer's own book.

use hashbrown::HashMap;
use proto_model::Holder;

use crate::lanes::{MEDIA, SPAN};
use crate::shared::SET_PAGE;

/// Slots at most: a record with all of them on all media must fit a page.
pub(crate) const MAX_SLOTS: u32 = (SET_PAGE - 2) as u32 / MEDIA as u32 * SPAN;

/// See the module's words. A slot is used again only after the sweep has taken
/// it out of every set, and the epoch has moved since.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    by_holder: HashMap<Holder, u32>,
    /// Memberships per slot.
    counts: Vec<u64>,
    free: Vec<u32>,
    /// Ended; the sweep has not begun with them.
    ended: Vec<u32>,
    resting: Vec<u32>,
}

impl Roster {
    pub(crate) fn bytes(&self) -> usize {
        self.by_holder.allocation_size()
            + self.counts.capacity() * 8
            + (self.free.capacity() + self.ended.capacity() + self.resting.capacity()) * 4
    }

    /// Living holders.
    pub(crate) fn len(&self) -> usize {
        self.by_holder.len()
    }

    pub(crate) fn slot(&self, holder: Holder) -> Option<u32> {
        self.by_holder.get(&holder).copied()
    }

    /// Slots ever used.
    pub(crate) fn span(&self) -> usize {
        self.counts.len()
    }

    /// Gives a new holder a slot, unless there is none left.
    pub(crate) fn begin(&mut self, holder: Holder) -> Option<u32> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if (self.counts.len() as u32) < MAX_SLOTS => {
                self.counts.push(0);
                self.counts.len() as u32 - 1
            }
            None => return None,
        };
        self.counts[slot as usize] = 0;
        self.by_holder.insert(holder, slot);
        Some(slot)
    }

    /// Ends a holder; its slot waits for the sweep. Gives also its memberships.
    pub(crate) fn end(&mut self, holder: Holder) -> Option<(u32, u64)> {
        let slot = self.by_holder.remove(&holder)?;
        self.ended.push(slot);
        Some((slot, std::mem::take(&mut self.counts[slot as usize])))
    }

    /// Counts memberships in or out. Those of ended holders are not counted.
    #[inline]
    pub(crate) fn count(&mut self, slot: u32, change: i64) {
        let count = &mut self.counts[slot as usize];
        *count = count.saturating_add_signed(change);
    }

    /// The slots that a sweep should take out of all sets.
    pub(crate) fn take_ended(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.ended)
    }

    pub(crate) fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// The sweep has taken these out of all sets.
    pub(crate) fn rest(&mut self, slots: &[u32]) {
        self.resting.extend_from_slice(slots);
    }

    pub(crate) fn resting(&self) -> usize {
        self.resting.len()
    }

    /// Makes slots at rest usable. The epoch has moved since they were given.
    pub(crate) fn wake(&mut self) {
        self.free.append(&mut self.resting);
    }
}
