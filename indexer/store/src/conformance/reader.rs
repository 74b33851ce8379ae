//! Follows a watch and checks its shape.

use std::time::Duration;

use futures::StreamExt;
use proto_model::Revision;

use super::replica::Replica;
use crate::seam::{IndexWatch, WatchError, WatchItem, WatchStream};

/// After this a case is taken to hang. Never waited for when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// Watches after which a reader is taken never to arrive.
const WATCHES_MAX: usize = 1_000;

/// A reader of one watch after another.
pub(super) struct Reader {
    stream: WatchStream,
    pub(super) replica: Replica,
    /// The position reached; `None` before and within a snapshot.
    pub(super) at: Option<Revision>,
    within_snapshot: bool,
    pub(super) snapshots: usize,
    pub(super) heartbeats: usize,
    /// Positions reached by deltas.
    pub(super) changes: usize,
}

impl Reader {
    pub(super) fn new(store: &impl IndexWatch) -> Self {
        Self {
            stream: store.watch(None),
            replica: Replica::default(),
            at: None,
            within_snapshot: false,
            snapshots: 0,
            heartbeats: 0,
            changes: 0,
        }
    }

    /// A reader that stands at `at` with what was there.
    pub(super) fn resumed(store: &impl IndexWatch, at: Revision, replica: Replica) -> Self {
        let mut reader = Self::new(store);
        (reader.at, reader.replica) = (Some(at), replica);
        reader.resume(store);
        reader
    }

    /// Watches again from where the reader stands.
    pub(super) fn resume(&mut self, store: &impl IndexWatch) {
        self.resume_at(store, self.at);
    }

    pub(super) fn resume_at(&mut self, store: &impl IndexWatch, after: Option<Revision>) {
        self.stream = store.watch(after);
        self.within_snapshot = false;
    }

    /// Reads until `revision` is reached, watching again where a watch ends.
    pub(super) async fn follow(&mut self, store: &impl IndexWatch, revision: Revision) {
        let mut ended = 0;
        while self.at.is_none_or(|at| at < revision) {
            if let Err(error) = self.step().await {
                assert!(error.retryable(), "a watch ended for good: {error}");
                ended += 1;
                assert!(ended < WATCHES_MAX, "no watch comes to the end: {error}");
                self.resume(store);
            }
        }
    }

    /// Reads one item, or watches again if the watch has ended.
    pub(super) async fn step_or_resume(&mut self, store: &impl IndexWatch) {
        if let Err(error) = self.step().await {
            assert!(error.retryable(), "a watch ended for good: {error}");
            tokio::task::yield_now().await;
            self.resume(store);
        }
    }

    /// Reads one item.
    pub(super) async fn step(&mut self) -> Result<(), WatchError> {
        let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
        let item = next
            .expect("a watch is never silent")
            .expect("a watch ends with an error");
        match item? {
            WatchItem::SnapshotBegin => {
                assert!(!self.within_snapshot, "a snapshot began within a snapshot");
                (self.within_snapshot, self.replica) = (true, Replica::default());
                self.snapshots += 1;
            }
            WatchItem::Snapshot(deltas) => {
                assert!(self.within_snapshot, "a piece came outside a snapshot");
                deltas.iter().for_each(|delta| self.replica.apply(delta));
            }
            WatchItem::SnapshotEnd(revision) => {
                assert!(
                    std::mem::take(&mut self.within_snapshot),
                    "a snapshot ended twice"
                );
                self.advance(revision, false);
            }
            WatchItem::Deltas {
                revision, deltas, ..
            } => {
                assert!(!self.within_snapshot, "deltas came within a snapshot");
                deltas.iter().for_each(|delta| self.replica.apply(delta));
                self.advance(revision, true);
                self.changes += 1;
            }
            WatchItem::Heartbeat { revision, .. } => {
                assert!(!self.within_snapshot, "a heartbeat came within a snapshot");
                assert_eq!(
                    self.at,
                    Some(revision),
                    "a heartbeat from where the reader is not"
                );
                self.heartbeats += 1;
            }
        }
        Ok(())
    }

    fn advance(&mut self, revision: Revision, strictly: bool) {
        if let Some(at) = self.at {
            let forward = if strictly {
                at < revision
            } else {
                at <= revision
            };
            assert!(forward, "went from {at:?} to {revision:?}");
        }
        self.at = Some(revision);
    }
}
