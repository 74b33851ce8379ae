//! The follower: one watch after another, each from where the last one ended.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use indexer_store::{IndexWatch, WatchError, WatchItem};
use proto_model::Revision;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Content, Replica, RevisionWentBack};

/// How a replica follows its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowSettings {
    /// Unheard for longer than this, the replica calls itself stale.
    pub stale_after: Duration,
    /// Led nowhere for longer than this, the watch is given up and taken up anew.
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

/// Watches in a row that offered an older history, from which on that is no
/// longer one node that lags behind, but the store's word.
pub(super) const CONSISTENTLY: u64 = 5;

/// Why one watch is over.
#[derive(Debug, thiserror::Error)]
enum WatchEnd {
    #[error(transparent)]
    Failed(#[from] WatchError),
    #[error("the store has been silent for {0:?}")]
    Silent(Duration),
    #[error("the store stood at revision {} for {patience:?}, but this replica stands at {}", .seen.0, .at.0)]
    Behind {
        seen: Revision,
        at: Revision,
        patience: Duration,
    },
    #[error("the watch ended without a word")]
    Finished,
    #[error("a {0} came outside a snapshot")]
    OutOfPlace(&'static str),
    #[error(transparent)]
    WentBack(#[from] RevisionWentBack),
}

/// What one item was good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// The replica stands further, or knows that there is nothing further.
    Led,
    /// A piece of a snapshot that is not complete yet.
    Aside,
    /// The store stands where this replica has been already.
    Behind(Revision),
}

pub(super) async fn follow(replica: &Replica, watch: &dyn IndexWatch, stop: &CancellationToken) {
    let settings = replica.settings;
    let store = replica.name();
    let mut backoff = settings.backoff_min;
    loop {
        let mut led = false;
        let end = tokio::select! {
            () = stop.cancelled() => return,
            end = one_watch(replica, watch, &mut led) => end,
        };
        replica.freshness.lost();
        if led {
            backoff = settings.backoff_min;
        }
        match &end {
            WatchEnd::WentBack(back) => refused(replica, back),
            // It may be opened again; there is no hurry to ask.
            WatchEnd::Failed(error) if !error.retryable() => backoff = settings.backoff_max,
            _ => {}
        }
        warn!(store, error = %end, retry_in = ?backoff, "lost the store");
        tokio::select! {
            () = stop.cancelled() => return,
            () = time::sleep(backoff) => {}
        }
        backoff = (backoff * 2).min(settings.backoff_max);
    }
}

/// One older snapshot is one node's, and the next watch may get another one.
/// Many in a row are the store's: then somebody must decide.
fn refused(replica: &Replica, back: &RevisionWentBack) {
    if replica.freshness.refused() == CONSISTENTLY {
        error!(
            store = replica.name(),
            offered = back.to.0,
            answered_from = back.from.0,
            "the store went back: {CONSISTENTLY} times in a row it has offered an older history \
             than was answered from. Was it emptied, or restored from a backup? Answers stay as of \
             what they were; restart the scorer to follow the store as it is now"
        );
    }
}

/// Follows one watch to its end. Sets `led` once it has led further.
async fn one_watch(replica: &Replica, watch: &dyn IndexWatch, led: &mut bool) -> WatchEnd {
    let patience = replica.settings.silent_after;
    let mut items = watch.watch(replica.resume_from());
    let mut aside = None;
    let mut until = Instant::now() + patience;
    loop {
        let item = match time::timeout_at(until, items.next()).await {
            Err(_) => return WatchEnd::Silent(patience),
            Ok(None) => return WatchEnd::Finished,
            Ok(Some(Err(error))) => return error.into(),
            Ok(Some(Ok(item))) => item,
        };
        match take(replica, &mut aside, item) {
            Ok(Taken::Led) => {
                *led = true;
                until = Instant::now() + patience;
            }
            Ok(Taken::Aside) => until = Instant::now() + patience,
            Ok(Taken::Behind(seen)) if Instant::now() >= until => {
                let at = replica.content().revision();
                return WatchEnd::Behind { seen, at, patience };
            }
            Ok(Taken::Behind(_)) => {}
            Err(end) => return end,
        }
        // Applying never waits, so that without this a flood of changes would
        // keep the answers on this thread waiting.
        tokio::task::yield_now().await;
    }
}

/// A snapshot in the making.
struct Aside {
    content: Content,
    /// When it began: it is as of then, or a little later.
    since: Instant,
}

/// How long ago it was so that the item says, by this process's clock, which
/// items carry times of. Nothing where no time is known.
fn delay(item: &WatchItem) -> Duration {
    let at_ms = match item {
        WatchItem::Deltas { applied_at_ms, .. } => *applied_at_ms,
        WatchItem::Heartbeat { at_ms, .. } => *at_ms,
        _ => 0,
    };
    if at_ms == 0 {
        return Duration::ZERO;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
        .saturating_sub(Duration::from_millis(at_ms))
}

/// Takes one item. `aside` is the snapshot in the making.
fn take(replica: &Replica, aside: &mut Option<Aside>, item: WatchItem) -> Result<Taken, WatchEnd> {
    let delay = delay(&item);
    let taken = match (item, aside.take()) {
        (WatchItem::SnapshotBegin, _) => {
            *aside = Some(Aside {
                content: replica.aside(),
                since: Instant::now(),
            });
            Taken::Aside
        }
        (WatchItem::Snapshot(deltas), Some(making)) => {
            let change = || making.content.apply(&deltas);
            replica.memory.within(making.content.index(), change);
            *aside = Some(making);
            Taken::Aside
        }
        (WatchItem::SnapshotEnd(revision), Some(making)) => {
            take_over(replica, making.content, revision)?;
            replica.freshness.heard_snapshot(making.since.elapsed());
            return Ok(Taken::Led);
        }
        (WatchItem::Snapshot(_), None) => return Err(WatchEnd::OutOfPlace("snapshot piece")),
        (WatchItem::SnapshotEnd(_), None) => return Err(WatchEnd::OutOfPlace("snapshot end")),
        (WatchItem::Deltas { .. }, Some(_)) => return Err(WatchEnd::OutOfPlace("change")),
        (WatchItem::Heartbeat { .. }, Some(making)) => {
            *aside = Some(making);
            Taken::Aside
        }
        (
            WatchItem::Deltas {
                revision, deltas, ..
            },
            None,
        ) => advance(replica, revision, |content| content.apply(&deltas)),
        (WatchItem::Heartbeat { revision, .. }, None) => advance(replica, revision, |_| ()),
    };
    if taken == Taken::Led {
        replica.freshness.heard(delay);
    }
    Ok(taken)
}

/// Ends a snapshot.
fn take_over(
    replica: &Replica,
    content: Content,
    revision: Revision,
) -> Result<(), RevisionWentBack> {
    content.reached(revision);
    let memberships = content.index().stats().memberships;
    let old = replica.install(content)?;
    // To give back millions of blocks takes longer than an answer may wait.
    tokio::task::spawn_blocking(move || drop(old));
    info!(
        store = replica.name(),
        revision = revision.0,
        memberships,
        "took over a snapshot"
    );
    Ok(())
}

/// Applies what leads to `revision`, then says so; what was seen is left out.
fn advance(replica: &Replica, revision: Revision, apply: impl FnOnce(&Content)) -> Taken {
    let content = replica.content();
    let at = content.revision();
    if revision > at {
        replica.memory.within(content.index(), || apply(&content));
        content.reached(revision);
        replica.freshness.reached(revision);
    }
    content.index().sweep(SWEEP_STEPS);
    match revision < at {
        true => Taken::Behind(revision),
        false => Taken::Led,
    }
}
