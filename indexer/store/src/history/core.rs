//! What is behind the lock: the state, the recent past, the current cut.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use indexer_state::State;
use parking_lot::Mutex;
use proto_model::{Batch, Revision};
use tokio::sync::watch;

use super::cut::Cut;
use super::ring::Ring;
use crate::options::HistoryOptions;
use crate::seam::{AppendError, Appended};
use crate::stats::HistoryStats;

/// Revisions per millisecond of the clock that a fresh history leaves free, so
/// that the next one starts above it.
const REVISIONS_PER_MS: u64 = 1024;

/// Shared by a history, whoever applies to it, and its watchers. The lock is never
/// held across an await.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) core: Mutex<Core>,
    /// Tells watchers that there is something new. The value means nothing.
    pub(crate) changed: watch::Sender<()>,
    pub(crate) options: HistoryOptions,
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) state: State,
    pub(crate) ring: Ring,
    /// The cut that snapshots are being made of, if any.
    pub(crate) cut: Option<Arc<Cut>>,
    /// Watchers that are reading a snapshot.
    pub(crate) cut_readers: usize,
    /// Why nothing is taken any more.
    pub(crate) closed: Option<String>,
    pub(crate) batches: u64,
    pub(crate) watchers: usize,
    pub(crate) watchers_lagged: u64,
    pub(crate) snapshots: u64,
    pub(crate) compactions: u64,
}

impl Core {
    /// Empty, at a revision beyond any earlier history's.
    pub(crate) fn fresh(options: &HistoryOptions) -> Self {
        let state = State::new(options.limits.clone());
        Self::at(state, fresh_revision(), options)
    }

    /// Holding `state`, which stands at `revision`.
    pub(crate) fn at(state: State, revision: Revision, options: &HistoryOptions) -> Self {
        Self {
            state,
            ring: Ring::new(revision, options.ring_bytes),
            cut: None,
            cut_readers: 0,
            closed: None,
            batches: 0,
            watchers: 0,
            watchers_lagged: 0,
            snapshots: 0,
            compactions: 0,
        }
    }

    /// Applies a batch as the next revision.
    pub(crate) fn apply(&mut self, batch: &Batch) -> Appended {
        let mut deltas = Vec::new();
        let apply = |command| self.state.apply(command, &mut deltas);
        let outcomes = batch.commands.iter().map(apply).collect();
        // The clock may be set back; what readers see of it is not.
        let applied_at_ms = now_ms().max(self.ring.last_applied_at_ms());
        let revision = self.ring.push(applied_at_ms, deltas);
        self.batches += 1;
        if self
            .cut
            .as_ref()
            .is_some_and(|cut| cut.revision < self.ring.floor())
        {
            // Its readers could not go on from it any more.
            self.cut = None;
        }
        Appended { revision, outcomes }
    }

    /// Goes on from `state`, which stands at `revision`. Watchers that stand
    /// elsewhere have lagged.
    pub(crate) fn replace(
        &mut self,
        state: State,
        revision: Revision,
    ) -> (State, Option<Arc<Cut>>) {
        self.ring.restart(revision);
        let old = std::mem::replace(&mut self.state, state);
        (old, self.cut.take())
    }

    /// A picture of the state that a watcher can go on from: the one that others
    /// are reading already, or a new one.
    pub(crate) fn cut(&mut self) -> Arc<Cut> {
        if let Some(cut) = &self.cut {
            return Arc::clone(cut);
        }
        let cut = Arc::new(Cut {
            state: self.state.clone(),
            revision: self.ring.head(),
        });
        self.cut = Some(Arc::clone(&cut));
        cut
    }
}

impl Shared {
    pub(crate) fn new(core: Core, options: HistoryOptions) -> Self {
        Self {
            core: Mutex::new(core),
            changed: watch::Sender::new(()),
            options,
        }
    }

    /// Applies a batch and tells the watchers.
    pub(crate) fn apply(&self, batch: &Batch) -> Result<Appended, AppendError> {
        let mut core = self.core.lock();
        if let Some(reason) = &core.closed {
            return Err(AppendError::Closed {
                reason: reason.clone(),
            });
        }
        let appended = core.apply(batch);
        drop(core);
        self.changed.send_replace(());
        Ok(appended)
    }

    /// Takes nothing any more; the first reason stands.
    pub(crate) fn close(&self, reason: &str) {
        self.core
            .lock()
            .closed
            .get_or_insert_with(|| reason.to_owned());
        self.changed.send_replace(());
    }

    pub(crate) fn stats(&self) -> HistoryStats {
        let core = self.core.lock();
        HistoryStats {
            revision: core.ring.head(),
            resumable: core.ring.floor(),
            batches: core.batches,
            ring_bytes: core.ring.bytes() as u64,
            watchers: core.watchers as u64,
            watchers_lagged: core.watchers_lagged,
            snapshots: core.snapshots,
            compactions: core.compactions,
            state: core.state.stats(),
        }
    }
}

/// Beyond the revisions of any history that began earlier.
pub(super) fn fresh_revision() -> Revision {
    Revision(now_ms().saturating_mul(REVISIONS_PER_MS))
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
