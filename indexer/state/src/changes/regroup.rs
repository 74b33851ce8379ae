//! Memberships from copies, and the changes that touch many blocks at once.
//!
//! A block is a member on a medium if every group known there has a copy: an
//! engine can reuse the block only then.

use proto_model::Medium;

use super::Changes;
use crate::emit::Emit;
use crate::entry::Entry;
use crate::table::SlotId;

impl Changes<'_, '_, '_> {
    /// Announces the block on `medium`, or takes it back, as its copies say.
    pub(super) fn update_member(&mut self, id: SlotId, medium: Medium) {
        let member = self.entry.should_be_member(id, medium);
        let table = &mut self.entry.table;
        if table.set_member(id, medium, member) {
            let key = table.key(id);
            if member {
                self.emit.stored(medium, key);
            } else {
                self.emit.removed(medium, key);
            }
        }
    }

    /// One more group is required on `medium`: what has no copy there yet is no
    /// member any more.
    pub(super) fn group_joined(&mut self, medium: Medium) {
        if self.entry.table.members(medium) > 0 {
            self.entry.update_all(self.emit);
        }
    }

    pub(super) fn group_excluded(&mut self, group: u16) {
        self.drop_parked(|waiting| waiting.group == group);
        let Some(index) = self.entry.groups.exclude(group) else {
            return;
        };
        let last = self.entry.groups.list().len();
        for id in self.entry.slots() {
            for medium in Medium::ALL {
                let table = &mut self.entry.table;
                let moved = if index == last {
                    0
                } else {
                    table.copies(id, last, medium)
                };
                table.set_copies(id, index, medium, moved);
                table.set_copies(id, last, medium, 0);
            }
        }
        self.entry.update_all(self.emit);
    }

    pub(super) fn cleared_medium(&mut self, medium: Medium) {
        self.drop_parked(|waiting| waiting.medium == medium);
        self.shared.cache_ended |= medium == crate::routes::MEDIUM;
        if !self.entry.table.has_copies_off(medium) {
            return self
                .entry
                .empty_table(self.emit, self.shared, self.publisher);
        }
        let groups = self.entry.groups.list().len();
        for id in self.entry.slots() {
            for group in 0..groups {
                self.entry.table.set_copies(id, group, medium, 0);
            }
        }
        self.entry.update_all(self.emit);
    }

    fn drop_parked(&mut self, gone: impl Fn(&crate::parked::Waiting) -> bool) {
        let before = self.entry.parked.len();
        self.entry.parked.drop_where(gone);
        *self.shared.parked_total -= before - self.entry.parked.len();
    }
}

impl Entry {
    fn should_be_member(&self, id: SlotId, medium: Medium) -> bool {
        let mut groups = self.groups.on(medium).peekable();
        groups.peek().is_some() && groups.all(|group| self.table.copies(id, group, medium) > 0)
    }

    /// Makes a restored block a member where its copies say so.
    pub(crate) fn restore_members(&mut self, id: SlotId) {
        for medium in Medium::ALL {
            let member = self.should_be_member(id, medium);
            self.table.set_member(id, medium, member);
        }
    }

    fn slots(&self) -> Vec<SlotId> {
        self.table.ids().collect()
    }

    /// Brings every membership in line with the copies, frees what has none, and
    /// writes the differences in ascending order of keys.
    fn update_all(&mut self, emit: &mut Emit<'_>) {
        let slots = self.slots();
        for medium in Medium::ALL {
            let (mut lost, mut gained) = (Vec::new(), Vec::new());
            for id in &slots {
                let member = self.should_be_member(*id, medium);
                if self.table.set_member(*id, medium, member) {
                    let keys = if member { &mut gained } else { &mut lost };
                    keys.push(self.table.key(*id));
                }
            }
            cancel(&mut lost, &mut gained);
            lost.iter().for_each(|key| emit.removed(medium, *key));
            gained.iter().for_each(|key| emit.stored(medium, *key));
        }
        for id in slots {
            self.table.release(id);
        }
    }

    /// Takes every membership back, key by key.
    pub(crate) fn retract_members(&mut self, emit: &mut Emit<'_>) {
        for medium in Medium::ALL {
            for key in self.member_keys(medium) {
                emit.removed(medium, key);
            }
        }
    }

    /// The keys that are members on `medium`, ascending.
    pub(crate) fn member_keys(&self, medium: Medium) -> Vec<u64> {
        let members = self
            .table
            .ids()
            .filter(|id| self.table.is_member(*id, medium));
        let mut keys: Vec<u64> = members.map(|id| self.table.key(id)).collect();
        keys.sort_unstable();
        // Hashes that share a key are one membership.
        keys.dedup();
        keys
    }
}

/// Sorts both and drops what is in both: a key that one hash lost and another
/// gained in the same step has not changed.
fn cancel(lost: &mut Vec<u64>, gained: &mut Vec<u64>) {
    lost.sort_unstable();
    gained.sort_unstable();
    if lost.is_empty() || gained.is_empty() {
        return;
    }
    let both: Vec<u64> = lost
        .iter()
        .copied()
        .filter(|key| gained.binary_search(key).is_ok())
        .collect();
    lost.retain(|key| both.binary_search(key).is_err());
    gained.retain(|key| both.binary_search(key).is_err());
}
