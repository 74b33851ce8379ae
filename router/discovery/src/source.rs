//! What every source of views hands out.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::manifest::Mistakes;
use crate::view::PoolView;

/// A running source of [`PoolView`]s. Dropping it stops the source; the last
/// view stays readable.
#[derive(Debug)]
pub struct Discovery {
    views: watch::Receiver<Arc<PoolView>>,
    status: watch::Receiver<Arc<SourceStatus>>,
    /// Ends when dropped; a fixed pool has none.
    task: Option<AbortOnDropHandle<()>>,
}

impl Discovery {
    /// The pool as it stands. A view is replaced whole, and only by another one
    /// that differs.
    #[must_use]
    pub fn views(&self) -> watch::Receiver<Arc<PoolView>> {
        self.views.clone()
    }

    /// How the source itself is doing.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Arc<SourceStatus>> {
        self.status.clone()
    }

    /// Keeps the source running.
    pub(crate) fn owning(mut self, task: AbortOnDropHandle<()>) -> Self {
        self.task = Some(task);
        self
    }
}

/// How a source is doing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceStatus {
    /// Everything has been read at least once.
    pub synced: bool,
    /// The endpoints may have changed unseen: the source cannot be read. The
    /// last view stays in use.
    pub stale: Option<Trouble>,
    /// What is wrong in the manifests as they stand now, or that they never hold
    /// still; the last good ones are
    /// in use.
    pub last_error: Option<Arc<Mistakes>>,
    /// What somebody should see to and does not make endpoints stale: kinds that
    /// cannot be read; `endpoints`, where manifests forgot them; `files` that are
    /// missing.
    pub troubles: Vec<Trouble>,
    /// Views that were published.
    pub applied: u64,
    /// Changes that were not taken because of mistakes.
    pub refused: u64,
}

/// Something that cannot be read, or is not as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// Which: a kind of objects, `files`, or `endpoints`.
    pub what: String,
    /// Why, and what would mend it.
    pub reason: String,
    /// Since when.
    pub since: Instant,
}

/// The source's end of a [`Discovery`].
pub(crate) struct Publisher {
    views: watch::Sender<Arc<PoolView>>,
    status: watch::Sender<Arc<SourceStatus>>,
}

impl Publisher {
    pub(crate) fn new(view: PoolView) -> Self {
        let status = SourceStatus {
            synced: view.synced,
            applied: u64::from(view.synced),
            ..SourceStatus::default()
        };
        Self {
            views: watch::Sender::new(Arc::new(view)),
            status: watch::Sender::new(Arc::new(status)),
        }
    }

    pub(crate) fn discovery(&self) -> Discovery {
        Discovery {
            views: self.views.subscribe(),
            status: self.status.subscribe(),
            task: None,
        }
    }

    /// Publishes a view if it differs from the last.
    pub(crate) fn view(&self, view: PoolView) {
        let synced = view.synced;
        let changed = self.views.send_if_modified(|last| {
            let differs = **last != view;
            if differs {
                tell(last, &view);
                *last = Arc::new(view);
            }
            differs
        });
        self.status(|status| {
            status.synced = synced;
            status.applied = status.applied.saturating_add(u64::from(changed));
        });
    }

    /// Changes the status; nobody is woken if it stays as it was.
    pub(crate) fn status(&self, change: impl FnOnce(&mut SourceStatus)) {
        self.status.send_if_modified(|last| {
            let mut status = (**last).clone();
            change(&mut status);
            let differs = **last != status;
            if differs {
                *last = Arc::new(status);
            }
            differs
        });
    }
}

/// One line for whoever wonders why an endpoint gets no requests.
fn tell(last: &PoolView, view: &PoolView) {
    let addresses = |view: &PoolView| -> BTreeSet<SocketAddr> {
        view.endpoints.iter().map(|e| e.address).collect()
    };
    let (before, after) = (addresses(last), addresses(view));
    tracing::info!(
        pool = view.pool,
        synced = view.synced,
        endpoints = after.len(),
        added = after.difference(&before).count(),
        removed = before.difference(&after).count(),
        strategy_changed = last.strategy != view.strategy,
        models = view.models.len(),
        "pool changed"
    );
}

/// A pool that never changes.
pub(crate) fn fixed(view: PoolView) -> Discovery {
    Publisher::new(view).discovery()
}
