//! One watch of a reader, over as many nodes as it takes.

mod clock;
mod place;

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use indexer_store::{WatchError, WatchItem, WatchStream};
use proto_api::{InvalidChange, StoreFailure};
use proto_model::Revision;
use tokio::time::{Instant, sleep, timeout};

use super::Inner;
use super::backoff::Backoff;
use super::connect::{Open, open};
use clock::NodeClock;
use place::{Place, Step};

/// Why a node's watch cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Failed(#[from] StoreFailure),
    #[error("silent for {0:?}")]
    Silent(Duration),
    #[error("the watch ended without a word")]
    Finished,
    #[error("{0} came where none can be")]
    OutOfPlace(&'static str),
    #[error("the node stands at {found}, behind or beside the reader at {at}")]
    Elsewhere { found: u64, at: u64 },
    #[error("a revision of more than {limit} bytes (revision_bytes_max)")]
    RevisionTooLarge { limit: usize },
    #[error(transparent)]
    Invalid(#[from] InvalidChange),
}

/// The stream of one reader.
pub(super) fn follow(inner: Arc<Inner>, after: Option<Revision>) -> WatchStream {
    let follower = Follower {
        place: Place::new(after, inner.options.revision_bytes_max),
        inner,
        open: None,
        clock: NodeClock::new(),
        fruitless: None,
        ended: false,
    };
    Box::pin(stream::unfold(follower, |mut follower| async move {
        if follower.ended {
            return None;
        }
        let item = follower.next().await;
        if item.is_err() {
            follower.ended = true;
            follower.open = None;
        }
        Some((item, follower))
    }))
}

struct Follower {
    inner: Arc<Inner>,
    place: Place,
    open: Option<Open>,
    /// Of the node that is open.
    clock: NodeClock,
    /// Since when nodes were left without a word for the reader in between.
    fruitless: Option<Fruitless>,
    ended: bool,
}

struct Fruitless {
    since: Instant,
    backoff: Backoff,
}

impl Follower {
    async fn next(&mut self) -> Result<WatchItem, WatchError> {
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => {
                    let open = open_at(&self.inner, self.place.at()).await?;
                    self.clock = NodeClock::new();
                    open
                }
            };
            match self.step(&mut open).await {
                Ok(Step::Deliver(item)) => {
                    (self.open, self.fruitless) = (Some(open), None);
                    return Ok(self.clock.translate(item));
                }
                Ok(Step::Nothing) => self.open = Some(open),
                // The node is fine; the reader has to begin anew.
                Ok(Step::NeedsSnapshot(at)) => return Err(WatchError::Lagged { at }),
                Err(broken) => {
                    self.leave(&open.address, &broken)?;
                    drop(open);
                    self.pause(&broken).await?;
                }
            }
        }
    }

    /// Reads one message.
    async fn step(&mut self, open: &mut Open) -> Result<Step, Broken> {
        let silent = self.inner.options.watch_silent;
        let message = match open.first.take() {
            Some(first) => first,
            None => timeout(silent, open.stream.message())
                .await
                .map_err(|_| Broken::Silent(silent))?
                .map_err(|status| StoreFailure::from(&status))?
                .ok_or(Broken::Finished)?,
        };
        let bytes = message.wire_len();
        self.inner.metrics.watch_bytes.inc_by(bytes as u64);
        let item = message.item.ok_or(InvalidChange::Missing("item"))?;
        let step = self.place.take(item, bytes)?;
        if matches!(step, Step::Deliver(WatchItem::SnapshotBegin)) {
            self.inner.metrics.snapshots.inc();
        }
        Ok(step)
    }

    /// Leaves a node. The reader need not know, unless it was given a part of a
    /// snapshot, which cannot be gone on with elsewhere.
    fn leave(&mut self, address: &str, broken: &Broken) -> Result<(), WatchError> {
        if let Broken::Failed(StoreFailure::Lagged { .. }) = broken {
            self.inner.metrics.lagged.inc();
        } else {
            self.inner.nodes.failed(address);
        }
        if self.place.within_snapshot() {
            let reason = format!("the snapshot from {address} broke off: {broken}");
            return Err(WatchError::Unavailable { reason });
        }
        self.place.left_node();
        tracing::info!(node = address, reason = %broken, "watching at another node of the store");
        Ok(())
    }
}

impl Follower {
    /// Nodes that can be connected to and then give nothing are not asked again
    /// and again without rest, and not for ever.
    async fn pause(&mut self, broken: &Broken) -> Result<(), WatchError> {
        let options = &self.inner.options;
        let fruitless = self.fruitless.get_or_insert_with(|| Fruitless {
            since: Instant::now(),
            backoff: Backoff::new(options.backoff_min, options.backoff_max),
        });
        if fruitless.since.elapsed() >= options.watch_patience {
            let reason = format!("no node of the store leads further; last: {broken}");
            return Err(WatchError::Unavailable { reason });
        }
        sleep(fruitless.backoff.delay()).await;
        Ok(())
    }
}

/// Boxed, because connecting takes a large future and is rare.
async fn open_at(inner: &Inner, after: Option<Revision>) -> Result<Open, WatchError> {
    Box::pin(open(inner, after)).await
}
