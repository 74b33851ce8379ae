//! The KV-cache groups of one publisher.

use proto_model::{Medium, MediumSet};
use smallvec::SmallVec;

use crate::table::GROUPS_MAX;

/// Most excluded groups that are remembered.
pub(crate) const EXCLUDED_MAX: usize = 64;

/// A group that takes part in deciding memberships.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) id: u16,
    /// Where the group was seen to store.
    pub(crate) media: MediumSet,
}

/// Which groups are known, and on which media. A group's place in the list is
/// its index in the table; the first one's counts are the cheap ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    list: SmallVec<[Group; 1]>,
    excluded: SmallVec<[u16; 4]>,
}

/// What naming a group came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// Known at this index.
    At(usize),
    /// Known at this index, and from now on required on the medium as well.
    NewAt(usize),
    /// Excluded before: its copies do not count.
    Excluded,
    /// One group too many.
    Full,
}

impl Groups {
    /// The groups, first to last.
    pub(crate) fn list(&self) -> &[Group] {
        &self.list
    }

    /// The groups known not to be prefix-complete, in ascending order.
    pub(crate) fn excluded(&self) -> &[u16] {
        &self.excluded
    }

    /// Rebuilds from what an image says.
    pub(crate) fn restore(&mut self, list: &[Group], excluded: &[u16]) {
        self.list = SmallVec::from_slice(list);
        self.excluded = SmallVec::from_slice(excluded);
    }

    /// Indexes of the groups that a member on `medium` must have copies in.
    pub(crate) fn on(&self, medium: Medium) -> impl Iterator<Item = usize> + '_ {
        let on = move |group: &Group| group.media.contains(medium);
        self.list
            .iter()
            .enumerate()
            .filter(move |(_, group)| on(group))
            .map(|(index, _)| index)
    }

    pub(crate) fn index(&self, id: u16) -> Option<usize> {
        self.list.iter().position(|group| group.id == id)
    }

    pub(crate) fn is_excluded(&self, id: u16) -> bool {
        self.excluded.binary_search(&id).is_ok()
    }

    /// A store in the group on the medium.
    pub(crate) fn name(&mut self, id: u16, medium: Medium) -> Named {
        if let Some(index) = self.index(id) {
            let media = &mut self.list[index].media;
            if media.contains(medium) {
                return Named::At(index);
            }
            *media = media.with(medium);
            return Named::NewAt(index);
        }
        if self.is_excluded(id) {
            return Named::Excluded;
        }
        if self.list.len() == GROUPS_MAX {
            return Named::Full;
        }
        self.list.push(Group {
            id,
            media: MediumSet::EMPTY.with(medium),
        });
        Named::NewAt(self.list.len() - 1)
    }

    /// Excludes the group; gives its index if it was known. The last group takes
    /// its place, so the caller moves that group's counts there.
    pub(crate) fn exclude(&mut self, id: u16) -> Option<usize> {
        if let Err(place) = self.excluded.binary_search(&id)
            && self.excluded.len() < EXCLUDED_MAX
        {
            self.excluded.insert(place, id);
        }
        let index = self.index(id)?;
        self.list.swap_remove(index);
        Some(index)
    }
}
