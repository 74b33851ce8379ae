//! A reader that checks every promise of a watch on its way.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use indexer_store::{IndexWatch, WatchError, WatchItem, WatchStream};
use proto_model::{BlockKey, Delta, Holder, Medium, Revision};
use tokio::time::timeout;

use super::node::PATIENCE;

pub(crate) type Held = BTreeMap<Holder, BTreeSet<(Medium, BlockKey)>>;

pub(crate) struct Reader {
    stream: WatchStream,
    pub(crate) held: Held,
    pub(crate) at: Option<Revision>,
    /// The furthest the reader ever stood.
    pub(crate) furthest: Option<Revision>,
    pub(crate) snapshots: usize,
    pub(crate) items: usize,
    aside: Option<Held>,
}

impl Reader {
    pub(crate) fn new(store: &impl IndexWatch) -> Self {
        Self {
            stream: store.watch(None),
            held: Held::new(),
            at: None,
            furthest: None,
            snapshots: 0,
            items: 0,
            aside: None,
        }
    }

    /// Watches again, from where the reader stands.
    pub(crate) fn resume(&mut self, store: &impl IndexWatch) {
        (self.stream, self.aside) = (store.watch(self.at), None);
    }

    /// Reads until `revision`, watching again where a watch ends. Gives the
    /// number of watches that ended.
    pub(crate) async fn follow(&mut self, store: &impl IndexWatch, revision: Revision) -> usize {
        let mut ended = 0;
        while self.at.is_none_or(|at| at < revision) {
            if let Err(error) = self.step().await {
                assert!(error.retryable(), "{error}");
                ended += 1;
                assert!(ended < 100, "no watch comes to the end: {error}");
                self.resume(store);
            }
        }
        ended
    }

    pub(crate) async fn step(&mut self) -> Result<WatchItem, WatchError> {
        let next = timeout(PATIENCE, self.stream.next()).await;
        let item = next.expect("not silent").expect("ends with an error")?;
        self.items += 1;
        match &item {
            WatchItem::SnapshotBegin => {
                assert!(self.aside.is_none(), "a snapshot within a snapshot");
                self.aside = Some(Held::new());
                self.snapshots += 1;
            }
            WatchItem::Snapshot(deltas) => {
                let aside = self.aside.as_mut().expect("a piece within a snapshot");
                deltas.iter().for_each(|delta| apply(aside, delta));
            }
            WatchItem::SnapshotEnd(revision) => {
                self.held = self.aside.take().expect("an end within a snapshot");
                assert!(
                    self.furthest <= Some(*revision),
                    "went back to {revision:?}"
                );
                self.reached(*revision);
            }
            WatchItem::Deltas {
                revision, deltas, ..
            } => {
                assert!(self.aside.is_none(), "changes within a snapshot");
                assert!(self.furthest < Some(*revision), "went back to {revision:?}");
                deltas.iter().for_each(|delta| apply(&mut self.held, delta));
                self.reached(*revision);
            }
            WatchItem::Heartbeat { revision, .. } => assert_eq!(self.at, Some(*revision)),
        }
        Ok(item)
    }

    fn reached(&mut self, revision: Revision) {
        (self.at, self.furthest) = (Some(revision), Some(revision));
    }
}

/// Panics where a change was left out or came twice.
fn apply(held: &mut Held, delta: &Delta) {
    let of = |held: &mut Held, holder| held.get_mut(&holder).map(std::mem::take);
    match delta {
        Delta::HolderBegan { holder, .. } => {
            assert!(
                held.insert(*holder, BTreeSet::new()).is_none(),
                "began twice"
            );
        }
        Delta::HolderEnded { holder } => {
            held.remove(holder).expect("ended unknown");
        }
        Delta::Stored {
            holder,
            medium,
            keys,
        } => {
            let mut blocks = of(held, *holder).expect("stored by unknown");
            for key in keys {
                assert!(blocks.insert((*medium, *key)), "stored twice");
            }
            held.insert(*holder, blocks);
        }
        Delta::Removed {
            holder,
            medium,
            keys,
        } => {
            let mut blocks = of(held, *holder).expect("removed by unknown");
            for key in keys {
                assert!(blocks.remove(&(*medium, *key)), "removed unknown");
            }
            held.insert(*holder, blocks);
        }
        Delta::Status(_) | Delta::Space(_) | Delta::PublisherRemoved { .. } => {}
    }
}
