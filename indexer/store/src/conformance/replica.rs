//! What a reader makes of deltas, and what they promise it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexer_state::State;
use proto_model::{BlockKey, Delta, Holder, KeySpace, Medium, Publisher, PublisherStatus, Source};

/// What a publisher holds.
pub(super) type Held = BTreeSet<(Medium, BlockKey)>;

/// A reader's replica, as simple as it can be. Two replicas are equal if a
/// request would get the same answer from both; holder numbers do not count, for
/// a store may give them out as it likes.
#[derive(Debug, Clone, Default)]
pub(super) struct Replica {
    holders: BTreeMap<Holder, (Publisher, Source)>,
    ended: BTreeSet<Holder>,
    /// Shared with clones until it changes: a replica is cheap to keep.
    held: BTreeMap<(Publisher, Source), Arc<Held>>,
    status: BTreeMap<Publisher, PublisherStatus>,
    spaces: BTreeMap<Publisher, BTreeSet<KeySpace>>,
}

impl PartialEq for Replica {
    fn eq(&self, other: &Self) -> bool {
        self.held == other.held && self.status == other.status && self.spaces == other.spaces
    }
}

impl Replica {
    /// The replica of a reader that has just read a snapshot of `state`.
    pub(super) fn of(state: &State) -> Self {
        let mut replica = Self::default();
        state.view().for_each(|delta| replica.apply(&delta));
        replica
    }

    /// What events told of.
    pub(super) fn held(&self, publisher: &Publisher) -> usize {
        self.held_from(publisher, Source::Confirmed).len()
    }

    /// What events told of.
    pub(super) fn blocks(&self, publisher: &Publisher) -> Arc<Held> {
        self.held_from(publisher, Source::Confirmed)
    }

    /// What the source told of.
    pub(super) fn held_from(&self, publisher: &Publisher, source: Source) -> Arc<Held> {
        let held = self.held.get(&(publisher.clone(), source));
        held.map(Arc::clone).unwrap_or_default()
    }

    pub(super) fn status(&self, publisher: &Publisher) -> Option<&PublisherStatus> {
        self.status.get(publisher)
    }

    pub(super) fn publishers(&self) -> impl Iterator<Item = &PublisherStatus> {
        self.status.values()
    }

    /// Panics if the delta breaks a promise.
    pub(super) fn apply(&mut self, delta: &Delta) {
        match delta {
            Delta::HolderBegan {
                holder,
                publisher,
                source,
            } => {
                assert!(
                    !self.ended.contains(holder),
                    "{holder:?} began after it had ended"
                );
                let name = (publisher.clone(), *source);
                let taken = self.held.insert(name.clone(), Arc::default()).is_some();
                assert!(!taken, "{publisher} has two {source:?} holders at a time");
                self.holders.insert(*holder, name);
            }
            Delta::HolderEnded { holder } => {
                let publisher = self.holders.remove(holder);
                let publisher = publisher.unwrap_or_else(|| panic!("{holder:?} ended unknown"));
                self.held.remove(&publisher);
                self.ended.insert(*holder);
            }
            Delta::Stored {
                holder,
                medium,
                keys,
            } => {
                let held = self.held_by(*holder);
                keys.iter()
                    .for_each(|key| assert!(held.insert((*medium, *key)), "{key:?} is not new"));
            }
            Delta::Removed {
                holder,
                medium,
                keys,
            } => {
                let held = self.held_by(*holder);
                keys.iter()
                    .for_each(|key| assert!(held.remove(&(*medium, *key)), "{key:?} is unknown"));
            }
            Delta::Status(status) => {
                self.status.insert(status.publisher.clone(), status.clone());
            }
            Delta::Space(announced) => {
                let spaces = self.spaces.entry(announced.publisher.clone()).or_default();
                assert!(
                    spaces.insert(announced.space.clone()),
                    "a space was announced twice"
                );
            }
            Delta::PublisherRemoved { publisher } => {
                assert!(
                    !self.held.keys().any(|(of, _)| of == publisher),
                    "{publisher} still has a holder"
                );
                self.status.remove(publisher);
                self.spaces.remove(publisher);
            }
        }
    }

    fn held_by(&mut self, holder: Holder) -> &mut Held {
        let publisher = self.holders.get(&holder);
        let publisher = publisher.unwrap_or_else(|| panic!("{holder:?} is unknown"));
        Arc::make_mut(self.held.get_mut(publisher).expect("a holder has a set"))
    }
}
