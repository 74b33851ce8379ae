//! One watch: a snapshot if needed, then the ring, at the reader's pace.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use futures::stream;
use proto_model::{Delta, Publisher, Revision};
use tokio::sync::watch;

use super::core::{Shared, now_ms};
use super::cut::Cut;
use super::ring::After;
use crate::seam::{WatchError, WatchItem, WatchStream};

pub(super) fn watch(shared: Arc<Shared>, after: Option<Revision>) -> WatchStream {
    let changed = shared.changed.subscribe();
    let watcher = Watcher {
        shared,
        changed,
        phase: Phase::Start(after),
        open: None,
    };
    Box::pin(stream::unfold(watcher, |mut watcher| async move {
        if matches!(watcher.phase, Phase::Ended) {
            return None;
        }
        let item = watcher.next().await;
        if item.is_err() {
            watcher.phase = Phase::Ended;
            watcher.open = None;
        }
        Some((item, watcher))
    }))
}

struct Watcher {
    shared: Arc<Shared>,
    changed: watch::Receiver<()>,
    phase: Phase,
    open: Option<Open>,
}

enum Phase {
    /// Nothing was read yet.
    Start(Option<Revision>),
    Snapshot(Snapshot),
    /// Everything up to here was delivered. `quiet` until something was said.
    Live {
        at: Revision,
        quiet: bool,
    },
    Ended,
}

/// A snapshot that is being read.
///
/// The cut is held weakly: the store drops it when the ring has moved past it,
/// so a reader that hangs cannot hold a second copy of the state for ever.
struct Snapshot {
    cut: Weak<Cut>,
    revision: Revision,
    last: Option<Publisher>,
    pieces: VecDeque<Arc<[Delta]>>,
    complete: bool,
    _reading: Reading,
}

/// Counts an open watch.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.core.lock().watchers -= 1;
    }
}

/// Counts a reader of the cut; the last one lets it go.
struct Reading(Arc<Shared>);

impl Drop for Reading {
    fn drop(&mut self) {
        let mut core = self.0.core.lock();
        core.cut_readers -= 1;
        let unread = if core.cut_readers == 0 {
            core.cut.take()
        } else {
            None
        };
        // It may be large: give it back outside the lock.
        drop(core);
        drop(unread);
    }
}

impl Watcher {
    async fn next(&mut self) -> Result<WatchItem, WatchError> {
        loop {
            let item = match &mut self.phase {
                Phase::Start(after) => {
                    let after = *after;
                    self.start(after)?
                }
                Phase::Snapshot(_) => self.next_of_snapshot().await?,
                Phase::Live { .. } => self.next_of_ring().await?,
                Phase::Ended => {
                    return Err(WatchError::Closed {
                        reason: "already ended".into(),
                    });
                }
            };
            if let Some(item) = item {
                return Ok(item);
            }
        }
    }

    fn start(&mut self, after: Option<Revision>) -> Result<Option<WatchItem>, WatchError> {
        let mut core = self.shared.core.lock();
        if let Some(reason) = &core.closed {
            return Err(WatchError::Closed {
                reason: reason.clone(),
            });
        }
        let limit = self.shared.options.watchers_max;
        if core.watchers >= limit {
            let reason = format!("{limit} watches are open already (watchers_max)");
            return Err(WatchError::Unavailable { reason });
        }
        core.watchers += 1;
        self.open = Some(Open(Arc::clone(&self.shared)));
        if let Some(at) = after
            && !matches!(core.ring.after(at), After::Unknown)
        {
            self.phase = Phase::Live { at, quiet: true };
            return Ok(None);
        }
        let cut = core.cut();
        core.cut_readers += 1;
        core.snapshots += 1;
        self.phase = Phase::Snapshot(Snapshot {
            cut: Arc::downgrade(&cut),
            revision: cut.revision,
            last: None,
            pieces: VecDeque::new(),
            complete: false,
            _reading: Reading(Arc::clone(&self.shared)),
        });
        Ok(Some(WatchItem::SnapshotBegin))
    }

    async fn next_of_snapshot(&mut self) -> Result<Option<WatchItem>, WatchError> {
        let Phase::Snapshot(snapshot) = &mut self.phase else {
            return Ok(None);
        };
        if let Some(piece) = snapshot.pieces.pop_front() {
            return Ok(Some(WatchItem::Snapshot(piece)));
        }
        let at = snapshot.revision;
        if snapshot.complete {
            self.phase = Phase::Live { at, quiet: false };
            return Ok(Some(WatchItem::SnapshotEnd(at)));
        }
        let Some(cut) = snapshot.cut.upgrade() else {
            return Err(self.lagged(at));
        };
        let last = snapshot.last.take();
        // Copying and sorting a large publisher's keys takes milliseconds.
        let made = tokio::task::spawn_blocking(move || cut.pieces(last.as_ref())).await;
        let made = made.map_err(|error| WatchError::Unavailable {
            reason: error.to_string(),
        })?;
        snapshot.pieces = made.pieces.into();
        snapshot.complete = made.last.is_none();
        snapshot.last = made.last;
        Ok(None)
    }

    async fn next_of_ring(&mut self) -> Result<Option<WatchItem>, WatchError> {
        let Phase::Live { at, quiet } = &mut self.phase else {
            return Ok(None);
        };
        self.changed.mark_unchanged();
        let said_nothing = std::mem::replace(quiet, false);
        match look(&self.shared, *at) {
            Look::Applied(item, revision) => {
                *at = revision;
                return Ok(Some(item));
            }
            Look::Lagged => {
                let at = *at;
                return Err(self.lagged(at));
            }
            Look::Closed(reason) => return Err(WatchError::Closed { reason }),
            // A reader that resumes should know at once that it is up to date.
            Look::Nothing(heartbeat) if said_nothing => return Ok(Some(heartbeat)),
            Look::Nothing(_) => {}
        }
        let waited = tokio::time::timeout(self.shared.options.heartbeat, self.changed.changed());
        if waited.await.is_err() {
            *quiet = true;
        }
        Ok(None)
    }

    fn lagged(&self, at: Revision) -> WatchError {
        self.shared.core.lock().watchers_lagged += 1;
        WatchError::Lagged { at }
    }
}

/// What the ring has for a watcher.
enum Look {
    Applied(WatchItem, Revision),
    Nothing(WatchItem),
    Lagged,
    Closed(String),
}

fn look(shared: &Shared, at: Revision) -> Look {
    let core = shared.core.lock();
    match core.ring.after(at) {
        After::Next(applied) => {
            let revision = applied.revision;
            let (applied_at_ms, deltas) = (applied.applied_at_ms, applied.deltas);
            Look::Applied(
                WatchItem::Deltas {
                    revision,
                    applied_at_ms,
                    deltas,
                },
                revision,
            )
        }
        After::Unknown => Look::Lagged,
        After::AtHead => match &core.closed {
            Some(reason) => Look::Closed(reason.clone()),
            None => {
                let at_ms = now_ms().max(core.ring.last_applied_at_ms());
                Look::Nothing(WatchItem::Heartbeat {
                    revision: at,
                    at_ms,
                })
            }
        },
    }
}
