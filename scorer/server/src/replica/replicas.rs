//! The replicas of all stores that one scorer follows.

use std::collections::BTreeSet;
use std::sync::Arc;

use proto_api::{ReplicaState, StoreStanding, limits};
use proto_model::{EndpointError, Revision};
use scorer_index::IndexLimits;

use super::label::Label;
use super::memory::MemoryShare;
use super::{FollowSettings, Replica};

/// One replica per store, in the configured order. Clones are the same replicas.
#[derive(Debug, Clone)]
pub struct Replicas {
    all: Arc<[Arc<Replica>]>,
}

/// Why stores cannot be followed together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplicasError {
    /// There is no store.
    #[error("no store to follow; name at least one")]
    None,
    /// There are more stores than a scorer follows.
    #[error("{count} stores; a scorer follows at most {max}", max = limits::STORES)]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A label is no cluster name.
    #[error("cluster of store {number}")]
    Label {
        /// Which store, from 1.
        number: usize,
        /// What is wrong with it.
        source: EndpointError,
    },
    /// Two stores would be called the same.
    #[error("two stores are called {name}; give each a cluster of its own")]
    SameName {
        /// The name.
        name: String,
    },
}

/// Where answers from all replicas together stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The only store's; 0 of several, which have nothing to do with one another.
    pub(crate) revision: Revision,
    /// The longest.
    pub(crate) age_ms: u64,
    /// The only store's; of several, stale unless all are live.
    pub(crate) state: ReplicaState,
    /// Each of several; empty for one.
    pub(crate) stores: Vec<StoreStanding>,
}

impl From<Arc<Replica>> for Replicas {
    /// The replica of the only store.
    fn from(replica: Arc<Replica>) -> Self {
        Self {
            all: Arc::new([replica]),
        }
    }
}

impl Replicas {
    /// Empty replicas, one per label: the cluster that a store's endpoints are
    /// listed under, in the place of the one in their names. Without a label
    /// names are as they are. All indexes together stay within `limits`.
    pub fn new(
        labels: &[Option<String>],
        limits: IndexLimits,
        settings: FollowSettings,
    ) -> Result<Self, ReplicasError> {
        match labels.len() {
            0 => return Err(ReplicasError::None),
            count if count > limits::STORES => return Err(ReplicasError::TooMany { count }),
            _ => {}
        }
        let mut names = BTreeSet::new();
        let mut all = Vec::with_capacity(labels.len());
        for (share, label) in MemoryShare::of(limits, labels.len()).zip(labels) {
            let number = all.len() + 1;
            let label = label.as_deref().map(Label::new).transpose();
            let label = label.map_err(|source| ReplicasError::Label { number, source })?;
            let replica = Replica::numbered(number, label, share, settings);
            let name = replica.name().to_owned();
            if !names.insert(name.clone()) {
                return Err(ReplicasError::SameName { name });
            }
            all.push(replica);
        }
        Ok(Self { all: all.into() })
    }

    /// All, in the configured order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Replica>> {
        self.all.iter()
    }

    /// The replica of the first store.
    #[must_use]
    pub fn first(&self) -> &Arc<Replica> {
        &self.all[0]
    }

    /// Whether there is more than one.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// Whether two publishers can be listed by the same name.
    pub(crate) fn may_share_names(&self) -> bool {
        self.are_several() || self.all[0].label().is_some()
    }

    /// Whether there are answers at all: one store is known.
    pub(crate) fn any_complete(&self) -> bool {
        self.iter().any(|replica| replica.is_complete())
    }

    /// Returns once every store's first snapshot has been taken over. Ready is
    /// who has everything that he is to answer from; a store that goes away
    /// later changes nothing, as answers stay right as of their revision.
    pub async fn complete(&self) {
        for replica in self.iter() {
            replica.reached(Revision(0)).await;
        }
    }

    /// Where all stand together, given the revision of each. Taken before
    /// anything is looked up.
    pub(crate) fn standing(&self, revisions: impl IntoIterator<Item = Revision>) -> Standing {
        let each = self
            .iter()
            .zip(revisions)
            .map(|(replica, revision)| StoreStanding {
                cluster: replica.name().to_owned(),
                revision,
                age_ms: replica.age_ms(),
                state: replica.state(),
            });
        let stores: Vec<_> = each.collect();
        match &stores[..] {
            [only] => Standing {
                revision: only.revision,
                age_ms: only.age_ms,
                state: only.state,
                stores: Vec::new(),
            },
            several => Standing {
                revision: Revision(0),
                age_ms: several.iter().map(|store| store.age_ms).max().unwrap_or(0),
                state: match several
                    .iter()
                    .all(|store| store.state == ReplicaState::Live)
                {
                    true => ReplicaState::Live,
                    false => ReplicaState::Stale,
                },
                stores,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(labels: &[Option<&str>]) -> Result<Replicas, ReplicasError> {
        let labels: Vec<_> = labels
            .iter()
            .map(|label| label.map(str::to_owned))
            .collect();
        Replicas::new(&labels, IndexLimits::default(), FollowSettings::default())
    }

    #[test]
    fn every_store_has_a_name_of_its_own() {
        let replicas = new(&[Some("east"), None, Some("west")]).expect("valid");
        let names: Vec<_> = replicas.iter().map(|replica| replica.name()).collect();
        assert_eq!(names, ["east", "store-2", "west"]);
        let same = |name: &str| ReplicasError::SameName {
            name: name.to_owned(),
        };
        assert_eq!(new(&[Some("a"), Some("a")]).err(), Some(same("a")));
        assert_eq!(new(&[Some("store-2"), None]).err(), Some(same("store-2")));
        assert_eq!(new(&[]).err(), Some(ReplicasError::None));
        assert!(matches!(
            new(&[None, Some("a/b")]),
            Err(ReplicasError::Label { number: 2, .. })
        ));
        let count = limits::STORES + 1;
        assert_eq!(
            new(&vec![None; count]).err(),
            Some(ReplicasError::TooMany { count })
        );
    }

    #[test]
    fn the_worst_of_several_is_told_and_each_of_them() {
        let replicas = new(&[Some("east"), None]).expect("valid");
        let standing = replicas.standing([Revision(7), Revision(9)]);
        assert_eq!(
            (standing.revision, standing.state),
            (Revision(0), ReplicaState::Stale)
        );
        let told: Vec<_> = standing
            .stores
            .iter()
            .map(|store| (&store.cluster[..], store.revision.0))
            .collect();
        assert_eq!(told, [("east", 7), ("store-2", 9)]);
        assert!(
            standing
                .stores
                .iter()
                .all(|store| store.state == ReplicaState::Starting)
        );
        let one = new(&[Some("east")]).expect("valid").standing([Revision(7)]);
        assert_eq!(
            (one.revision, one.state, one.stores),
            (Revision(7), ReplicaState::Starting, vec![])
        );
    }
}
