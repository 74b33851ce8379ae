//! A history: the state, its recent past, and those who watch it.
//!
//! ```text
//!  batches, in their one order ──▶ Core: state, ring of deltas
//!                                    │ cut (snapshot)   │ after n
//!                                    ▼                  ▼
//!                                 watcher ── pulls at its own pace
//! ```
//!
//! Every store that orders whole batches ends here: the embedded one, a Raft
//! node applying its log, a follower of a Redis stream. Equal batches in equal
//! order give equal states and equal revisions, wherever they are applied.
//!
//! Watchers pull: there is no queue per watcher that could fill, and a writer
//! never waits for one. A watcher that stays away until the ring has moved past
//! its place is told that it lagged.

mod core;
mod cut;
mod ring;
mod watcher;

use std::sync::Arc;

use indexer_state::State;
use proto_model::{Batch, Cursor, Publisher, Revision};

pub(crate) use self::core::{Core, Shared};
use crate::options::HistoryOptions;
use crate::seam::{AppendError, Appended, WatchStream};
use crate::stats::HistoryStats;

/// A state that batches are applied to and that watchers follow. Clones are the
/// same history.
#[derive(Debug, Clone)]
pub struct History {
    pub(crate) shared: Arc<Shared>,
}

impl History {
    /// The revision for a history that begins now: taken from the clock, so that a
    /// watcher of an earlier, lost history cannot take this one for that.
    #[must_use]
    pub fn fresh_revision() -> Revision {
        core::fresh_revision()
    }

    /// Goes on from `state`, which stands at `revision`.
    #[must_use]
    pub fn new(state: State, revision: Revision, options: HistoryOptions) -> Self {
        let core = Core::at(state, revision, &options);
        Self {
            shared: Arc::new(Shared::new(core, options)),
        }
    }

    /// Applies a batch as the next revision, and wakes the watchers.
    ///
    /// # Errors
    /// `Closed` if [`close`](Self::close) was called.
    pub fn apply(&self, batch: &Batch) -> Result<Appended, AppendError> {
        self.shared.apply(batch)
    }

    /// Goes on from another state, for instance a snapshot from a leader.
    /// Watchers that do not stand at `revision` are told that they lagged.
    pub fn replace(&self, state: State, revision: Revision) {
        let old = self.shared.core.lock().replace(state, revision);
        self.shared.changed.send_replace(());
        // It may be large: give it back outside the lock.
        drop(old);
    }

    /// The state as it is, and where it stands. Copies a pointer per publisher;
    /// tables are copied only when they change while the copy is held.
    #[must_use]
    pub fn state(&self) -> (Revision, State) {
        let core = self.shared.core.lock();
        (core.ring.head(), core.state.clone())
    }

    /// Everything after `after`, then live, as the seam promises.
    #[must_use]
    pub fn watch(&self, after: Option<Revision>) -> WatchStream {
        watcher::watch(Arc::clone(&self.shared), after)
    }

    /// Returns once this history stands at `revision` or beyond, or is closed.
    pub async fn reached(&self, revision: Revision) {
        let mut changed = self.shared.changed.subscribe();
        loop {
            changed.mark_unchanged();
            {
                let core = self.shared.core.lock();
                if core.ring.head() >= revision || core.closed.is_some() {
                    return;
                }
            }
            // The sender lives as long as this, so waiting cannot fail.
            let _ = changed.changed().await;
        }
    }

    /// Where a publisher stands; `None` if it is not known.
    #[must_use]
    pub fn cursor(&self, publisher: &Publisher) -> Option<Cursor> {
        self.shared.core.lock().state.cursor(publisher)
    }

    /// The position of the last batch applied.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.shared.core.lock().ring.head()
    }

    /// The history, counted.
    #[must_use]
    pub fn stats(&self) -> HistoryStats {
        self.shared.stats()
    }

    /// Takes no more batches and ends all watches; the first reason stands.
    pub fn close(&self, reason: &str) {
        self.shared.close(reason);
    }
}
