//! The bounded queue between sockets and sequencers.

use std::sync::Arc;

use indexer_events::BatchError;
use tokio::sync::mpsc;

use crate::config::Bounds;
use crate::keyed::Keyed;
use crate::metrics::Metrics;
use crate::source::Stream;
use crate::translate::Stamp;
use crate::zmtp::{Budget, Room};

/// What connections tell the driver.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A connection to a publisher whose name is configured came up.
    Opened {
        connection: u64,
        stream: Arc<Stream>,
    },
    /// A live message.
    Live(Box<Live>),
    /// A connection is gone.
    Closed { connection: u64 },
}

/// A live message, decoded as far as possible.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) connection: u64,
    pub(crate) stream: Arc<Stream>,
    pub(crate) stamp: Stamp,
    pub(crate) keyed: Result<Keyed, BatchError>,
    pub(crate) permit: Permit,
}

/// Room in the queue; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _bytes: Room,
    size: i64,
    metrics: Metrics,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.metrics.queue_messages.dec();
        self.metrics.queue_bytes.dec_by(self.size);
    }
}

/// The sending side. Waiting here is the back-pressure: a connection that waits
/// is not read, and its peer's own limits take over.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    queue: mpsc::Sender<Inbound>,
    bytes: Budget,
    metrics: Metrics,
}

/// A queue and its receiving side.
pub(crate) fn intake(bounds: &Bounds, metrics: &Metrics) -> (Intake, mpsc::Receiver<Inbound>) {
    let (queue, receiver) = mpsc::channel(bounds.queue_messages.get());
    let bytes = Budget::new(bounds.queue_bytes.get());
    (
        Intake {
            queue,
            bytes,
            metrics: metrics.clone(),
        },
        receiver,
    )
}

impl Intake {
    /// Waits for room for a message of `size` bytes.
    pub(crate) async fn admit(&self, size: usize) -> Option<Permit> {
        let bytes = match self.bytes.try_take(size) {
            Some(room) => room,
            None => {
                self.metrics.queue_waits.inc();
                self.bytes.take(size).await?
            }
        };
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.metrics.queue_messages.inc();
        self.metrics.queue_bytes.inc_by(size);
        Some(Permit {
            _bytes: bytes,
            size,
            metrics: self.metrics.clone(),
        })
    }

    /// Queues something; `false` if nobody listens any more.
    pub(crate) async fn send(&self, inbound: Inbound) -> bool {
        match self.queue.try_send(inbound) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(inbound)) => {
                self.metrics.queue_waits.inc();
                self.queue.send(inbound).await.is_ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_makes_the_sender_wait_and_says_so() {
        let metrics = Metrics::register(&mut Registry::default());
        let queue_bytes = std::num::NonZeroUsize::new(4096).unwrap();
        let bounds = Bounds {
            queue_bytes,
            ..Bounds::default()
        };
        let (intake, _receiver) = intake(&bounds, &metrics);
        let first = intake.admit(4096).await.unwrap();
        assert_eq!(metrics.queue_bytes.get(), 4096);
        let second = intake.admit(1);
        tokio::pin!(second);
        assert!(futures::poll!(second.as_mut()).is_pending());
        assert_eq!(metrics.queue_waits.get(), 1);
        drop(first);
        assert!(second.await.is_some());
        assert_eq!(metrics.queue_messages.get(), 0);
    }
}
