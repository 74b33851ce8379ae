//! Stores: parents, keys, copies, and copies that must wait.

use std::collections::VecDeque;

use proto_model::{
    BlockKey, ContentChain, EngineHash, LocalHash, Medium, Profile, StoredBlock, Trust,
};

use super::Changes;
use crate::groups::Named;
use crate::parked::Waiting;
use crate::table::SlotId;

/// Where the copies of one change go.
#[derive(Debug, Clone, Copy)]
struct Place {
    space: u16,
    medium: Medium,
    group: u16,
}

/// A block that has been given a copy.
#[derive(Debug, Clone, Copy)]
struct AddedBlock {
    /// The key that its hash has: an earlier store's, if there was one.
    key: u64,
    /// Whether the hash was not held before.
    new: bool,
}

impl Changes<'_, '_, '_> {
    /// A run of blocks is as many single stores, each the child of the last.
    pub(super) fn stored(
        &mut self,
        space: u16,
        medium: Medium,
        group: u16,
        parent: Option<EngineHash>,
        blocks: &[StoredBlock],
    ) {
        let Some(place) = self.place(space, medium, group, blocks.len()) else {
            return;
        };
        if self.profile(place) == Profile::Engine {
            return self.stored_engine(place, blocks.iter().map(|block| block.hash.0));
        }
        self.emit.expect(blocks.len());
        let mut parent = parent.map(|hash| hash.0);
        // The parent's chain value, where the block before has just given it.
        let mut value = None;
        for block in blocks {
            let chain = match (value, parent) {
                (Some(value), _) => Some(ContentChain::after(value)),
                (None, None) => Some(ContentChain::root()),
                (None, Some(hash)) => self.chain_after(hash, place.space),
            };
            value = match chain {
                Some(mut chain) => {
                    let value = chain.push(block.local);
                    let key = self.entry.spaces[usize::from(place.space)]
                        .scope
                        .key(value)
                        .0;
                    self.add_and_wake(block.hash.0, key, place)
                        .filter(|held| *held == key)
                        .map(|_| value)
                }
                None => {
                    let needs = parent.unwrap_or(block.hash.0);
                    self.park(block.hash.0, needs, Some(block.local), place);
                    None
                }
            };
            parent = Some(block.hash.0);
        }
    }

    pub(super) fn stored_by_hash(
        &mut self,
        space: u16,
        medium: Medium,
        group: u16,
        hashes: &[EngineHash],
    ) {
        let Some(place) = self.place(space, medium, group, hashes.len()) else {
            return;
        };
        if self.profile(place) == Profile::Engine {
            return self.stored_engine(place, hashes.iter().map(|hash| hash.0));
        }
        for hash in hashes {
            match self.entry.table.find(hash.0) {
                Some(id) => self.add_copy(id, place),
                None => self.park(hash.0, hash.0, None, place),
            }
        }
    }

    fn stored_engine(&mut self, place: Place, hashes: impl Iterator<Item = u64>) {
        let scope = self.entry.spaces[usize::from(place.space)].scope;
        for hash in hashes {
            self.add_and_wake(hash, scope.engine_key(EngineHash(hash)).0, place);
        }
    }

    /// Looks up the space and the group; `None` if the copies do not count.
    fn place(&mut self, space: u16, medium: Medium, group: u16, blocks: usize) -> Option<Place> {
        if blocks == 0 {
            return None;
        }
        let space = self.space(space)?;
        match self.entry.groups.name(group, medium) {
            Named::At(_) => {}
            Named::NewAt(_) => self.group_joined(medium),
            Named::Excluded => return None,
            Named::Full => {
                self.shared.counters.copies_uncounted += blocks as u64;
                self.entry.lower_trust(Trust::Suspect);
                return None;
            }
        }
        Some(Place {
            space,
            medium,
            group,
        })
    }

    fn profile(&self, place: Place) -> Profile {
        self.entry.spaces[usize::from(place.space)].space.profile
    }

    /// The chain that continues after `parent`, if its key is known and belongs
    /// to the same key space.
    fn chain_after(&self, parent: u64, space: u16) -> Option<ContentChain> {
        let id = self.entry.table.find(parent)?;
        let scope = self.entry.spaces[usize::from(space)].scope;
        let theirs = self.entry.spaces[usize::from(self.entry.table.space(id))].scope;
        let key = BlockKey(self.entry.table.key(id));
        (scope == theirs).then(|| ContentChain::after(scope.chain(key)))
    }

    /// Adds a copy and then whatever waited for the hash. Gives the key that the
    /// hash has, or `None` if the block was refused.
    fn add_and_wake(&mut self, hash: u64, key: u64, place: Place) -> Option<u64> {
        let added = self.add(hash, key, place)?;
        if added.new && !self.entry.parked.is_empty() {
            self.wake(hash);
        }
        Some(added.key)
    }

    fn add(&mut self, hash: u64, key: u64, place: Place) -> Option<AddedBlock> {
        if let Some(id) = self.entry.table.find(hash) {
            let held = self.entry.table.key(id);
            if held != key {
                self.shared.counters.conflicts += 1;
                self.entry.lower_trust(Trust::Suspect);
            }
            self.add_copy(id, place);
            return Some(AddedBlock {
                key: held,
                new: false,
            });
        }
        if self.is_full() {
            self.refuse_block();
            return None;
        }
        let id = self.entry.table.insert(hash, key, place.space);
        self.add_copy(id, place);
        let kept = !self.entry.table.release(id);
        kept.then_some(AddedBlock { key, new: true })
    }

    fn add_copy(&mut self, id: SlotId, place: Place) {
        let Some(group) = self.entry.groups.index(place.group) else {
            return;
        };
        let full =
            group > 0 && self.entry.table.copies(id, group, place.medium) == 0 && self.is_full();
        if full || !self.entry.table.add_copy(id, group, place.medium) {
            self.shared.counters.copies_uncounted += 1;
            self.entry.lower_trust(Trust::Suspect);
        }
        self.update_member(id, place.medium);
    }

    /// Gives keys to the copies that waited for `hash`, and so on down.
    fn wake(&mut self, hash: u64) {
        let mut known = VecDeque::from([hash]);
        while let Some(hash) = known.pop_front() {
            for (id, waiting) in self.entry.parked.needing(hash) {
                let Some(key) = self.key_of(&waiting) else {
                    continue;
                };
                self.entry.parked.remove(id);
                *self.shared.parked_total -= 1;
                let Waiting {
                    hash,
                    space,
                    medium,
                    group,
                    ..
                } = waiting;
                let added = self.add(
                    hash,
                    key,
                    Place {
                        space,
                        medium,
                        group,
                    },
                );
                if added.is_some_and(|added| added.new) {
                    known.push_back(hash);
                }
            }
        }
    }

    /// The key of a parked copy, if what it waited for is there.
    fn key_of(&self, waiting: &Waiting) -> Option<u64> {
        match waiting.local {
            Some(local) => {
                let mut chain = self.chain_after(waiting.needs, waiting.space)?;
                let scope = self.entry.spaces[usize::from(waiting.space)].scope;
                Some(scope.key(chain.push(local)).0)
            }
            None => {
                let id = self.entry.table.find(waiting.needs)?;
                Some(self.entry.table.key(id))
            }
        }
    }

    fn park(&mut self, hash: u64, needs: u64, local: Option<LocalHash>, place: Place) {
        if self.is_full() {
            return self.refuse_block();
        }
        let limits = self.shared.limits;
        let full = self.entry.parked.len() >= limits.parked_per_publisher
            || *self.shared.parked_total >= limits.parked;
        if full {
            self.shared.counters.parked_dropped += 1;
            self.entry.lower_trust(Trust::Partial);
            if self.entry.parked.pop_oldest().is_none() {
                return;
            }
            *self.shared.parked_total -= 1;
        }
        let Place {
            space,
            medium,
            group,
        } = place;
        self.entry.parked.push(Waiting {
            hash,
            needs,
            local,
            space,
            medium,
            group,
        });
        *self.shared.parked_total += 1;
    }

    fn is_full(&self) -> bool {
        let (own, limits) = (self.entry.table.weight(), self.shared.limits);
        own >= limits.blocks_per_publisher
            || own.saturating_add(self.shared.blocks_elsewhere) >= limits.blocks
    }

    fn refuse_block(&mut self) {
        self.shared.counters.blocks_refused += 1;
        self.entry.lower_trust(Trust::Suspect);
    }
}
