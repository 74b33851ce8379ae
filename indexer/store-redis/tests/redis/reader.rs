//! A reader that keeps what it is told, and looks that it is never taken back.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use indexer_store::{IndexWatch, WatchError, WatchItem, WatchStream};
use indexer_store_redis::RedisStore;
use proto_model::{BlockKey, Cursor, Delta, Holder, Publisher, Revision};

use crate::support::PATIENCE;

pub(crate) struct Reader {
    stream: WatchStream,
    pub(crate) at: Option<Revision>,
    within_snapshot: bool,
    pub(crate) snapshots: usize,
    pub(crate) index: Index,
}

/// What a reader knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Index {
    holders: BTreeMap<Holder, (Publisher, BTreeSet<(u8, BlockKey)>)>,
    cursors: BTreeMap<Publisher, Cursor>,
}

impl Index {
    pub(crate) fn held(&self, publisher: &Publisher) -> usize {
        let theirs = self.holders.values().filter(|(of, _)| of == publisher);
        theirs.map(|(_, keys)| keys.len()).sum()
    }

    pub(crate) fn cursor(&self, publisher: &Publisher) -> Option<Cursor> {
        self.cursors.get(publisher).copied()
    }

    fn apply(&mut self, delta: &Delta) {
        match delta {
            Delta::HolderBegan {
                holder, publisher, ..
            } => {
                let held = (publisher.clone(), BTreeSet::new());
                self.holders.insert(*holder, held);
            }
            Delta::HolderEnded { holder } => drop(self.holders.remove(holder)),
            Delta::Stored {
                holder,
                medium,
                keys,
            } => {
                let (_, held) = self.holders.get_mut(holder).expect("it began");
                held.extend(keys.iter().map(|key| (*medium as u8, *key)));
            }
            Delta::Removed {
                holder,
                medium,
                keys,
            } => {
                let (_, held) = self.holders.get_mut(holder).expect("it began");
                for key in keys {
                    assert!(held.remove(&(*medium as u8, *key)), "it was held");
                }
            }
            Delta::Status(status) => {
                let publisher = status.publisher.clone();
                self.cursors.insert(publisher, status.cursor);
            }
            Delta::PublisherRemoved { publisher } => drop(self.cursors.remove(publisher)),
            Delta::Space(_) => {}
        }
    }
}

impl Reader {
    pub(crate) fn new(store: &RedisStore) -> Self {
        Self {
            stream: store.watch(None),
            at: None,
            within_snapshot: false,
            snapshots: 0,
            index: Index::default(),
        }
    }

    /// Reads until `revision` is reached, watching again where a watch ends.
    pub(crate) async fn follow(&mut self, store: &RedisStore, revision: Revision) {
        let reached = async {
            while self.within_snapshot || self.at.is_none_or(|at| at < revision) {
                if let Err(error) = self.step().await {
                    assert!(error.retryable(), "a watch ended for good: {error}");
                    tokio::task::yield_now().await;
                    self.resume(store);
                }
            }
        };
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        reached.unwrap_or_else(|_| panic!("{revision:?} is not reached"));
    }

    /// Watches again from where it stands.
    pub(crate) fn resume(&mut self, store: &RedisStore) {
        self.stream = store.watch(self.at);
        self.within_snapshot = false;
    }

    /// Takes the next item.
    pub(crate) async fn step(&mut self) -> Result<WatchItem, WatchError> {
        let item = tokio::time::timeout(PATIENCE, self.stream.next()).await;
        let item = item
            .expect("a watch is not silent")
            .expect("nor at its end")?;
        match &item {
            WatchItem::SnapshotBegin => {
                self.index = Index::default();
                self.within_snapshot = true;
            }
            WatchItem::Snapshot(deltas) => deltas.iter().for_each(|delta| self.index.apply(delta)),
            WatchItem::SnapshotEnd(revision) => {
                self.within_snapshot = false;
                self.snapshots += 1;
                self.advance(*revision);
            }
            WatchItem::Deltas {
                revision, deltas, ..
            } => {
                deltas.iter().for_each(|delta| self.index.apply(delta));
                self.advance(*revision);
            }
            WatchItem::Heartbeat { revision, .. } => self.advance(*revision),
        }
        Ok(item)
    }

    fn advance(&mut self, revision: Revision) {
        assert!(self.at.is_none_or(|at| at <= revision), "it was taken back");
        self.at = Some(revision);
    }
}
