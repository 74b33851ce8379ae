//! One watch on its way out.
//!
//! The connection pulls: nothing is read from the store while the connection has
//! no room, so a slow watcher has no queue that could grow. One that takes nothing
//! for too long is given up: its place in the history, and with it any snapshot
//! that was kept for it, is let go, and it is told so when it comes back.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use indexer_store::{WatchError, WatchItem, WatchStream};
use parking_lot::Mutex;
use proto_api::{StoreFailure, v1};
use proto_model::Revision;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

use super::admission::draining;
use super::limits::StoreLimits;
use super::metrics::ServerMetrics;
use super::outgoing::Outgoing;
use crate::convert::watch_failure;

/// The stream of messages of one watch.
pub(super) struct Watching {
    slot: Arc<Mutex<Slot>>,
    outgoing: Outgoing,
    /// How the watch ended, to be said after what is still going out.
    end: Option<StoreFailure>,
    ended: bool,
    drained: Pin<Box<WaitForCancellationFutureOwned>>,
    metrics: ServerMetrics,
    _place: OwnedSemaphorePermit,
}

/// What the watchdog can take away.
struct Slot {
    /// `None` once the watch was given up.
    items: Option<WatchStream>,
    /// Since when a message has been with the connection and no other was asked
    /// for. `None` while it is the store that is waited for.
    not_asked_since: Option<Instant>,
    /// The last position in a message.
    at: Revision,
}

impl Watching {
    pub(super) fn new(
        items: WatchStream,
        place: OwnedSemaphorePermit,
        limits: &StoreLimits,
        drain: CancellationToken,
        metrics: ServerMetrics,
    ) -> Self {
        let slot = Arc::new(Mutex::new(Slot {
            items: Some(items),
            not_asked_since: None,
            at: Revision(0),
        }));
        let guarded = Arc::downgrade(&slot);
        tokio::spawn(watchdog(guarded, limits.slow_after, metrics.clone()));
        metrics.watches.inc();
        Self {
            slot,
            outgoing: Outgoing::new(limits.watch_message_bytes),
            end: None,
            ended: false,
            drained: Box::pin(drain.cancelled_owned()),
            metrics,
            _place: place,
        }
    }

    /// Reads what the store has, until the message is full or the store has no
    /// more to say.
    fn gather(&mut self, cx: &mut Context<'_>) {
        let mut slot = self.slot.lock();
        slot.not_asked_since = None;
        while self.end.is_none() && self.outgoing.has_room() {
            let Some(items) = &mut slot.items else {
                self.end = Some(StoreFailure::Lagged { at: slot.at });
                return;
            };
            match items.poll_next_unpin(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(item))) => {
                    slot.at = position(&item).unwrap_or(slot.at);
                    self.outgoing.push(item);
                }
                Poll::Ready(Some(Err(error))) => self.end = Some(watch_failure(error)),
                Poll::Ready(None) => {
                    let reason = "the store ended the watch without a word".to_owned();
                    self.end = Some(watch_failure(WatchError::Unavailable { reason }));
                }
            }
        }
    }
}

fn position(item: &WatchItem) -> Option<Revision> {
    match item {
        WatchItem::Deltas { revision, .. } | WatchItem::SnapshotEnd(revision) => Some(*revision),
        WatchItem::SnapshotBegin | WatchItem::Snapshot(_) | WatchItem::Heartbeat { .. } => None,
    }
}

impl Stream for Watching {
    type Item = Result<v1::WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.drained.as_mut().poll(cx).is_ready() {
            self.ended = true;
            return Poll::Ready(Some(Err(draining().into())));
        }
        self.gather(cx);
        if let Some((message, bytes)) = self.outgoing.pop() {
            self.metrics.watch_messages.inc();
            self.metrics.watch_bytes.inc_by(bytes as u64);
            self.slot.lock().not_asked_since = Some(Instant::now());
            return Poll::Ready(Some(Ok(message)));
        }
        match self.end.take() {
            Some(failure) => {
                self.ended = true;
                Poll::Ready(Some(Err(failure.into())))
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.metrics.watches.dec();
    }
}

/// Gives a watch up that asks for nothing for too long.
async fn watchdog(slot: Weak<Mutex<Slot>>, slow_after: Duration, metrics: ServerMetrics) {
    loop {
        sleep(slow_after / 4).await;
        let Some(slot) = slot.upgrade() else { return };
        let given_up = {
            let mut slot = slot.lock();
            let slow = slot
                .not_asked_since
                .is_some_and(|since| since.elapsed() >= slow_after);
            if slow { slot.items.take() } else { None }
        };
        if given_up.is_some() {
            metrics.watches_cut_off.inc();
            tracing::warn!(?slow_after, "a watch was too slow and was cut off");
            return;
        }
    }
}
