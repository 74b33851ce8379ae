//! Applies one message's changes to a publisher's blocks.

mod regroup;
mod store;

use proto_model::{
    Change, Delta, EngineHash, KeySpace, Medium, Message, Publisher, SpaceAnnounced, StoredBlock,
    Trust,
};
use smallvec::SmallVec;

use crate::emit::Emit;
use crate::entry::{Entry, Shared, Space};

/// Blocks that are brought near together: many, to wait for memory once, but no
/// more than are still near when their turn comes.
const NEAR: usize = 512;

/// One publisher while the messages of one command are applied to it.
pub(crate) struct Changes<'a, 'o, 's> {
    pub(crate) entry: &'a mut Entry,
    pub(crate) publisher: &'a Publisher,
    pub(crate) emit: &'a mut Emit<'o>,
    pub(crate) shared: &'a mut Shared<'s>,
    /// The command's spaces, and their indexes in the entry once looked up.
    spaces: &'a [KeySpace],
    indexes: SmallVec<[Option<u16>; 4]>,
}

impl<'a, 'o, 's> Changes<'a, 'o, 's> {
    pub(crate) fn new(
        entry: &'a mut Entry,
        publisher: &'a Publisher,
        spaces: &'a [KeySpace],
        emit: &'a mut Emit<'o>,
        shared: &'a mut Shared<'s>,
    ) -> Self {
        let indexes = SmallVec::from_elem(None, spaces.len());
        Self {
            entry,
            publisher,
            emit,
            shared,
            spaces,
            indexes,
        }
    }

    /// Applies a message that is next in order, and moves the cursor.
    pub(crate) fn message(&mut self, message: &Message) {
        self.entry.position.advance(message);
        self.shared.counters.messages_applied += 1;
        let mut near = 0_usize;
        for (index, change) in message.changes.iter().enumerate() {
            if near == 0 {
                let coming = message.changes.iter().skip(index);
                let coming = coming.flat_map(hashes).take(NEAR);
                self.entry.table.bring_near(coming.map(|hash| hash.0));
                near = NEAR;
            }
            near = near.saturating_sub(hashes(change).count());
            self.change(change);
        }
    }

    /// Begins the incarnation that the message is the first sign of.
    pub(crate) fn restart(&mut self, message: &Message) {
        self.entry
            .restart(message, self.emit, self.shared, self.publisher);
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Stored {
                space,
                medium,
                group,
                parent,
                blocks,
            } => {
                self.stored(*space, *medium, *group, *parent, blocks);
            }
            Change::StoredByHash {
                medium,
                group,
                space,
                hashes,
            } => {
                self.stored_by_hash(*space, *medium, *group, hashes);
            }
            Change::Removed {
                medium,
                group,
                hashes,
            } => {
                self.emit.expect(hashes.len());
                for hash in hashes {
                    self.removed(hash.0, *medium, *group);
                }
            }
            Change::Cleared { medium } => self.cleared(*medium),
            Change::GroupExcluded { group } => self.group_excluded(*group),
            Change::Unreadable => {
                self.shared.counters.messages_unreadable += 1;
                self.entry.lower_trust(Trust::Suspect);
            }
        }
    }

    fn removed(&mut self, hash: u64, medium: Medium, group: u16) {
        if let (Some(index), Some(id)) =
            (self.entry.groups.index(group), self.entry.table.find(hash))
            && self.entry.table.take_copy(id, index, medium)
        {
            self.update_member(id, medium);
            self.entry.table.release(id);
        } else if self.entry.parked.take_copy(hash, group, medium) {
            *self.shared.parked_total -= 1;
        } else if !self.entry.groups.is_excluded(group) {
            self.shared.counters.removals_unknown += 1;
        }
    }

    fn cleared(&mut self, medium: Option<Medium>) {
        match medium {
            None => {
                self.entry.empty(self.emit, self.shared, self.publisher);
                // Whatever was lost before, the cache is known to be empty now.
                self.entry.trust = Trust::Exact;
            }
            Some(medium) => self.cleared_medium(medium),
        }
    }

    /// The entry's index of the command's space `at`, announced if it is new.
    fn space(&mut self, at: u16) -> Option<u16> {
        let at = usize::from(at);
        if let Some(index) = *self.indexes.get(at)? {
            return Some(index);
        }
        let space = &self.spaces[at];
        let index = match self.entry.space_index(space) {
            Some(index) => index,
            None => self.announce(space)?,
        };
        self.indexes[at] = Some(index);
        Some(index)
    }

    fn announce(&mut self, space: &KeySpace) -> Option<u16> {
        let index = u16::try_from(self.entry.spaces.len()).ok()?;
        self.entry.spaces.push(Space {
            space: space.clone(),
            scope: space.scope(),
        });
        self.emit.other(Delta::Space(SpaceAnnounced {
            publisher: self.publisher.clone(),
            space: space.clone(),
        }));
        Some(index)
    }
}

/// The blocks that a change names.
fn hashes(change: &Change) -> impl Iterator<Item = EngineHash> {
    let (stored, named): (&[StoredBlock], &[EngineHash]) = match change {
        Change::Stored { blocks, .. } => (blocks, &[]),
        Change::StoredByHash { hashes, .. } | Change::Removed { hashes, .. } => (&[], hashes),
        Change::Cleared { .. } | Change::GroupExcluded { .. } | Change::Unreadable => (&[], &[]),
    };
    let stored = stored.iter().map(|block| block.hash);
    stored.chain(named.iter().copied())
}
