//! The follower: one watch after another, each from where the last one ended.

use std::time::Duration;

use futures::StreamExt;
use indexer_store::{IndexWatch, WatchError, WatchItem};
use proto_model::Revision;
use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Content, Replica, RevisionWentBack};

/// How a replica follows its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowSettings {
    /// Unheard for longer than this, the replica calls itself stale.
    pub stale_after: Duration,
    /// Unheard for longer than this, the watch is given up and taken up anew.
    pub silent_after: Duration,
    /// Waited before the first new attempt; doubled for each further one.
    pub backoff_min: Duration,
    /// The most that is waited between attempts.
    pub backoff_max: Duration,
}

impl Default for FollowSettings {
    fn default() -> Self {
        Self {
            stale_after: Duration::from_secs(5),
            silent_after: Duration::from_secs(15),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
        }
    }
}

/// Steps of clearing up behind ended holders that go with each item.
const SWEEP_STEPS: usize = 8192;

/// Why one watch is over.
#[derive(Debug, thiserror::Error)]
enum WatchEnd {
    #[error(transparent)]
    Failed(#[from] WatchError),
    #[error("the store has been silent for {0:?}")]
    Silent(Duration),
    #[error("the watch ended without a word")]
    Finished,
    #[error("a {0} came outside a snapshot")]
    OutOfPlace(&'static str),
    #[error(transparent)]
    WentBack(#[from] RevisionWentBack),
}

pub(super) async fn follow(replica: &Replica, watch: &dyn IndexWatch, stop: &CancellationToken) {
    let settings = replica.settings;
    let mut backoff = settings.backoff_min;
    loop {
        let mut progress = false;
        let end = tokio::select! {
            () = stop.cancelled() => return,
            end = one_watch(replica, watch, &mut progress) => end,
        };
        replica.freshness.lost();
        if let WatchEnd::Failed(error) = &end
            && !error.retryable()
        {
            info!(%error, "store closed; answering from what is known");
            return;
        }
        if progress {
            backoff = settings.backoff_min;
        }
        warn!(error = %end, retry_in = ?backoff, "lost the store");
        tokio::select! {
            () = stop.cancelled() => return,
            () = time::sleep(backoff) => {}
        }
        backoff = (backoff * 2).min(settings.backoff_max);
    }
}

/// Follows one watch to its end. Sets `progress` once it has led further.
async fn one_watch(replica: &Replica, watch: &dyn IndexWatch, progress: &mut bool) -> WatchEnd {
    let silent_after = replica.settings.silent_after;
    let mut items = watch.watch(replica.resume_from());
    let mut aside = None;
    loop {
        let item = match time::timeout(silent_after, items.next()).await {
            Err(_) => return WatchEnd::Silent(silent_after),
            Ok(None) => return WatchEnd::Finished,
            Ok(Some(Err(error))) => return error.into(),
            Ok(Some(Ok(item))) => item,
        };
        match take(replica, &mut aside, item) {
            Ok(()) => *progress |= aside.is_none(),
            Err(end) => return end,
        }
        // Applying never waits, so that without this a flood of changes would
        // keep the answers on this thread waiting.
        tokio::task::yield_now().await;
    }
}

/// Takes one item. `aside` is the snapshot in the making.
fn take(replica: &Replica, aside: &mut Option<Content>, item: WatchItem) -> Result<(), WatchEnd> {
    match (item, aside.take()) {
        (WatchItem::SnapshotBegin, _) => *aside = Some(Content::new(replica.limits)),
        (WatchItem::Snapshot(deltas), Some(content)) => {
            content.apply(&deltas);
            *aside = Some(content);
        }
        (WatchItem::SnapshotEnd(revision), Some(content)) => {
            content.reached(revision);
            replica.install(content)?;
            info!(revision = revision.0, "took over a snapshot");
        }
        (WatchItem::Snapshot(_), None) => return Err(WatchEnd::OutOfPlace("snapshot piece")),
        (WatchItem::SnapshotEnd(_), None) => return Err(WatchEnd::OutOfPlace("snapshot end")),
        (WatchItem::Deltas { .. }, Some(_)) => return Err(WatchEnd::OutOfPlace("change")),
        (
            WatchItem::Deltas {
                revision, deltas, ..
            },
            None,
        ) => {
            advance(replica, revision, |content| content.apply(&deltas));
        }
        (WatchItem::Heartbeat { .. }, Some(content)) => *aside = Some(content),
        (WatchItem::Heartbeat { revision, .. }, None) => advance(replica, revision, |_| ()),
    }
    replica.freshness.heard();
    Ok(())
}

/// Applies what leads to `revision`, then says so; what was seen is left out.
fn advance(replica: &Replica, revision: Revision, apply: impl FnOnce(&Content)) {
    let content = replica.content();
    if revision > content.revision() {
        apply(&content);
        content.reached(revision);
        replica.freshness.reached(revision);
    }
    content.index().sweep(SWEEP_STEPS);
}
