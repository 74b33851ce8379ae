//! Copies that wait until the key of some engine hash is known.

use std::collections::{BTreeMap, BTreeSet};

use proto_model::{EngineHash, LocalHash, Medium};

use crate::image::ParkedImage;

/// One physical copy whose key is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The block.
    pub(crate) hash: u64,
    /// The hash whose key it needs: its parent, or (stored by hash) itself.
    pub(crate) needs: u64,
    /// What to chain onto the parent's key; `None` if stored by hash.
    pub(crate) local: Option<LocalHash>,
    /// Index of its key space.
    pub(crate) space: u16,
    pub(crate) medium: Medium,
    /// The group's id (not its index, which may change meanwhile).
    pub(crate) group: u16,
}

/// The parked copies of one publisher, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parked {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    by_needs: BTreeSet<(u64, u64)>,
    by_place: BTreeSet<(u64, u16, Medium, u64)>,
}

impl Parked {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values()
    }

    pub(crate) fn push(&mut self, waiting: Waiting) {
        let id = self.next;
        self.next += 1;
        self.by_needs.insert((waiting.needs, id));
        self.by_place
            .insert((waiting.hash, waiting.group, waiting.medium, id));
        self.waiting.insert(id, waiting);
    }

    pub(crate) fn pop_oldest(&mut self) -> Option<Waiting> {
        let id = *self.waiting.first_key_value()?.0;
        self.remove(id)
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&id)?;
        self.by_needs.remove(&(waiting.needs, id));
        self.by_place
            .remove(&(waiting.hash, waiting.group, waiting.medium, id));
        Some(waiting)
    }

    /// The copies that wait for `hash`, oldest first.
    pub(crate) fn needing(&self, hash: u64) -> Vec<(u64, Waiting)> {
        let ids = self.by_needs.range((hash, 0)..=(hash, u64::MAX));
        ids.filter_map(|(_, id)| self.waiting.get(id).map(|waiting| (*id, *waiting)))
            .collect()
    }

    /// Takes away the oldest copy of `hash` in this place; false if there is none.
    pub(crate) fn take_copy(&mut self, hash: u64, group: u16, medium: Medium) -> bool {
        let place = (hash, group, medium, 0)..=(hash, group, medium, u64::MAX);
        let found = self.by_place.range(place).next().map(|(.., id)| *id);
        found.is_some_and(|id| self.remove(id).is_some())
    }

    /// Drops the copies that `gone` names.
    pub(crate) fn drop_where(&mut self, gone: impl Fn(&Waiting) -> bool) {
        let ids: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| gone(waiting))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.remove(id);
        }
    }
}

impl From<&Waiting> for ParkedImage {
    fn from(waiting: &Waiting) -> Self {
        Self {
            hash: EngineHash(waiting.hash),
            needs: EngineHash(waiting.needs),
            local: waiting.local,
            space: waiting.space,
            medium: waiting.medium,
            group: waiting.group,
        }
    }
}

impl From<&ParkedImage> for Waiting {
    fn from(image: &ParkedImage) -> Self {
        Self {
            hash: image.hash.0,
            needs: image.needs.0,
            local: image.local,
            space: image.space,
            medium: image.medium,
            group: image.group,
        }
    }
}
