//! Which KV-cache groups say how much of a prompt is cached.

use indexer_events::SpecKind;

/// Groups remembered per publisher; no model has more.
const GROUPS: usize = 64;

/// What is known about one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// Holds every block of a prefix, as its kind says.
    Complete,
    /// Keeps only a window, or something else than attention.
    Incomplete,
    /// Of unknown kind; its counts have agreed so far.
    Agreeing,
}

/// What to do with an event of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Take it.
    Take,
    /// Drop it: the group is not prefix-complete.
    Drop,
    /// Drop it, and forget what was taken from the group before.
    Exclude,
}

/// The groups of one publisher.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// A handful, so that looking through them is the fastest way.
    known: Vec<(u16, Group)>,
}

impl Groups {
    /// A store: its kind decides, or else whether its hashes and tokens agree
    /// in number, which only prefix-complete groups do every time.
    pub(super) fn stored(&mut self, group: u16, kind: Option<&SpecKind>, agrees: bool) -> Use {
        let place = self.known.iter().position(|(known, _)| *known == group);
        let before = place.and_then(|place| self.known.get(place).map(|(_, group)| *group));
        let now = match (kind, before) {
            (Some(kind), _) if kind.is_prefix_complete() => Group::Complete,
            (Some(_), _) => Group::Incomplete,
            (None, Some(Group::Complete)) => Group::Complete,
            (None, Some(Group::Incomplete)) => Group::Incomplete,
            (None, _) if agrees => Group::Agreeing,
            (None, _) => Group::Incomplete,
        };
        if let Some(known) = place.and_then(|place| self.known.get_mut(place)) {
            known.1 = now;
        } else if self.known.len() < GROUPS {
            self.known.push((group, now));
        }
        match (before, now) {
            (Some(Group::Complete | Group::Agreeing), Group::Incomplete) => Use::Exclude,
            // Nothing is known to be there, but another ingestor may have put it.
            (None, Group::Incomplete) if kind.is_none() => Use::Exclude,
            (_, Group::Incomplete) => Use::Drop,
            (_, Group::Complete | Group::Agreeing) => Use::Take,
        }
    }

    /// A removal; its kind is usually left out.
    pub(super) fn removed(&self, group: u16, kind: Option<&SpecKind>) -> Use {
        let incomplete = self.known.contains(&(group, Group::Incomplete));
        if incomplete || kind.is_some_and(|kind| !kind.is_prefix_complete()) {
            Use::Drop
        } else {
            Use::Take
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_decides_where_it_is_known() {
        let mut groups = Groups::default();
        assert_eq!(
            groups.stored(0, Some(&SpecKind::FullAttention), true),
            Use::Take
        );
        assert_eq!(
            groups.stored(1, Some(&SpecKind::SlidingWindow), true),
            Use::Drop
        );
        assert_eq!(groups.removed(1, None), Use::Drop);
        assert_eq!(groups.removed(0, None), Use::Take);
        assert_eq!(groups.stored(0, None, false), Use::Take);
    }

    #[test]
    fn a_group_of_unknown_kind_is_excluded_once_and_for_all() {
        let mut groups = Groups::default();
        assert_eq!(groups.stored(2, None, true), Use::Take);
        assert_eq!(groups.stored(2, None, false), Use::Exclude);
        assert_eq!(groups.stored(2, None, true), Use::Drop);
        assert_eq!(groups.removed(2, None), Use::Drop);
    }
}
