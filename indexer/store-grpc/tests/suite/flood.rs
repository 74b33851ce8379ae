//! A store that has much to say, made of nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use indexer_store::{IndexWatch, WatchItem, WatchStream};
use proto_model::{
    Cursor, Delta, Endpoint, Incarnation, Publisher, PublisherStatus, Rank, Revision, Timestamp,
    Trust,
};

/// Bytes of one revision, about.
const REVISION_BYTES: usize = 64 << 10;

/// A history of `revisions` large revisions. Its snapshots stand at 0; those of
/// an endless one never end.
pub(crate) struct Flood {
    revisions: u64,
    endless_snapshot: bool,
    large: Arc<[Delta]>,
    open: Arc<AtomicUsize>,
}

/// Counts an open watch.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Flood {
    pub(crate) fn of(revisions: u64) -> Arc<Self> {
        Self::new(revisions, false)
    }

    pub(crate) fn with_endless_snapshot() -> Arc<Self> {
        Self::new(0, true)
    }

    fn new(revisions: u64, endless_snapshot: bool) -> Arc<Self> {
        let status = PublisherStatus {
            publisher: Publisher {
                endpoint: Endpoint::new("test", "10.0.0.1:8000").expect("valid"),
                rank: Rank(0),
            },
            model: "m".repeat(REVISION_BYTES),
            cursor: Cursor {
                incarnation: Incarnation(1),
                next: 0,
                timestamp: Timestamp(0),
                trust: Trust::Exact,
            },
            parked: 0,
            lost: 0,
        };
        Arc::new(Self {
            revisions,
            endless_snapshot,
            large: vec![Delta::Status(status)].into(),
            open: Arc::default(),
        })
    }

    pub(crate) fn last(&self) -> Revision {
        Revision(self.revisions)
    }

    /// Watches open now.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl IndexWatch for Flood {
    fn watch(&self, after: Option<Revision>) -> WatchStream {
        let large = Arc::clone(&self.large);
        if self.endless_snapshot {
            let begun = stream::iter([WatchItem::SnapshotBegin, WatchItem::Snapshot(large)]);
            return begun.map(Ok).chain(stream::pending()).boxed();
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&self.open));
        let snapshot = match after {
            Some(_) => vec![],
            None => vec![
                WatchItem::SnapshotBegin,
                WatchItem::SnapshotEnd(Revision(0)),
            ],
        };
        let first = after.map_or(1, |after| after.0 + 1);
        let changes = (first..=self.revisions).map(move |revision| WatchItem::Deltas {
            revision: Revision(revision),
            applied_at_ms: 0,
            deltas: Arc::clone(&large),
        });
        let revision = self.last();
        let heartbeats = stream::repeat(()).then(move |()| async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            WatchItem::Heartbeat { revision, at_ms: 0 }
        });
        let items = stream::iter(snapshot.into_iter().chain(changes)).chain(heartbeats);
        items
            .map(move |item| {
                let _ = &counted;
                Ok(item)
            })
            .boxed()
    }
}
