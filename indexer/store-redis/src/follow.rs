//! This process's follower: one state that all its watches are served from.
//!
//! ```text
//!  open ─▶ load checkpoint ─▶ read the stream ─▶ History ─▶ watches
//!   ▲            ▲              │ hole, trimmed   │
//!   │            └──────────────┘                 └─ at the end of the stream:
//!   └── Redis away, or another server                ask where Redis stands
//! ```
//!
//! It starts with the first watch. What it serves never goes back: a state is
//! shown only once it has come to where Redis stood when it was loaded, and an
//! epoch begins beyond everything that was seen before.

mod entries;
mod load;
mod place;
mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use indexer_store::History;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::checkpoint::is_overdue;
use crate::metrics::Metrics;
use crate::options::RedisOptions;

/// The follower, running or not. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: Arc<RedisOptions>,
    metrics: Metrics,
    seen: watch::Sender<Seen>,
    started: AtomicBool,
    closed: CancellationToken,
}

/// What the follower has seen of Redis.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Set once a state has been loaded.
    pub(crate) history: Option<History>,
    /// When Redis last answered anything.
    pub(crate) heard: Option<Instant>,
    /// When it was last known that nothing is missing.
    pub(crate) confirmed: Option<Confirmed>,
    /// Why it does not get on, if it does not.
    pub(crate) trouble: Option<Arc<str>>,
}

/// A moment at which the history had everything that Redis had: before the
/// question was sent that Redis answered so, as its answer may take time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Confirmed {
    pub(crate) at: Instant,
    /// Milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
}

impl Confirmed {
    /// To be taken before Redis is asked.
    fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            at: Instant::now(),
            at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Follower {
    pub(crate) fn new(
        options: Arc<RedisOptions>,
        metrics: Metrics,
        closed: CancellationToken,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                options,
                metrics,
                seen: watch::Sender::default(),
                started: AtomicBool::new(false),
                closed,
            }),
        }
    }

    /// Starts it, unless it is running.
    pub(crate) fn start(&self) {
        if !self.shared.started.swap(true, Ordering::AcqRel) {
            tokio::spawn(task::Task::new(self).run());
        }
    }

    /// Starts it if a checkpoint should long have been written by others.
    pub(crate) fn if_overdue(&self, total: u64, checkpoint_total: u64, checkpoint_bytes: u64) {
        let options = &self.shared.options.checkpoint;
        let running = self.shared.started.load(Ordering::Acquire);
        if !running && is_overdue(options, total, checkpoint_total, checkpoint_bytes) {
            tracing::warn!(
                "no checkpoint is written by others; this process loads the index to write them"
            );
            self.start();
        }
    }

    /// What it has seen, now and from now on.
    pub(crate) fn seen(&self) -> watch::Receiver<Seen> {
        self.shared.seen.subscribe()
    }

    pub(crate) fn options(&self) -> &RedisOptions {
        &self.shared.options
    }

    pub(crate) fn closed(&self) -> &CancellationToken {
        &self.shared.closed
    }
}
