//! Asking an engine for messages that it published before.

use std::sync::Arc;
use std::time::Duration;

use indexer_events::{
    BatchError, Decoded, FrameError, ReplayFrame, decode_batch, parse_replay, replay_request,
};
use proto_model::Publisher;
use tokio::sync::{Semaphore, mpsc};

use crate::config::{Backoff, HANDSHAKE_TIMEOUT};
use crate::sequencer::{ReplayEnd, ReplayOrder};
use crate::sockets::connect;
use crate::translate::Stamp;
use crate::zmtp::{Connection, Limits, SocketType, ZmtpError};
use crate::{TcpAddress, decode};

/// Messages between replays and the driver.
pub(crate) const REPLAY_QUEUE: usize = 1024;

/// What a replay tells the driver.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) run: u64,
    pub(crate) news: ReplayNews,
}

/// One piece of a replay.
#[derive(Debug)]
pub(crate) enum ReplayNews {
    /// A message.
    Message {
        stamp: Stamp,
        decoded: Box<Result<Decoded, BatchError>>,
    },
    /// The replay is over.
    Ended(ReplayEnd),
}

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error("cannot use the replay socket")]
    Connection(#[from] ZmtpError),
    #[error("no answer within {0:?}")]
    Silence(Duration),
    #[error("answer is not a replay")]
    Frame(#[from] FrameError),
    #[error("message {seen} came after {last}; those between were dropped on the way")]
    Hole { last: u64, seen: u64 },
    #[error("ingestor stops")]
    Stopped,
}

/// What replays share: limits, and how many may run at a time.
#[derive(Debug, Clone)]
pub(crate) struct Replayer {
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) limits: Limits,
    pub(crate) events: indexer_events::Limits,
    pub(crate) timeout: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) news: mpsc::Sender<Replayed>,
}

impl Replayer {
    /// Runs one try and tells how it ended.
    pub(crate) async fn run(
        self,
        publisher: Arc<Publisher>,
        address: TcpAddress,
        order: ReplayOrder,
    ) {
        if order.failures > 0 {
            tokio::time::sleep(self.backoff.delay(order.failures)).await;
        }
        let Ok(_slot) = Arc::clone(&self.slots).acquire_owned().await else {
            return;
        };
        let end = match self.fetch(&publisher, &address, order).await {
            Ok(()) => ReplayEnd::Complete,
            Err(ReplayError::Stopped) => return,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::info!(%publisher, %address, from = order.from, error, "replay failed");
                ReplayEnd::Failed
            }
        };
        self.tell(&publisher, order.run, ReplayNews::Ended(end))
            .await
            .ok();
    }

    async fn fetch(
        &self,
        publisher: &Arc<Publisher>,
        address: &TcpAddress,
        order: ReplayOrder,
    ) -> Result<(), ReplayError> {
        let stream = connect(address).await.map_err(ZmtpError::from)?;
        let opening = Connection::open(stream, SocketType::Dealer, self.limits, HANDSHAKE_TIMEOUT);
        let mut connection = opening.await?;
        let request = replay_request(order.from);
        connection.send(&[&request[0], &request[1]]).await?;
        let mut last: Option<u64> = None;
        loop {
            let received = tokio::time::timeout(self.timeout, connection.receive()).await;
            let frames = received.map_err(|_| ReplayError::Silence(self.timeout))??;
            let (sequence, stream, payload) = match parse_replay(&frames)? {
                ReplayFrame::End => return Ok(()),
                ReplayFrame::Message {
                    sequence,
                    stream,
                    payload,
                } => (sequence, stream, payload),
            };
            // A ROUTER drops what its queue cannot take, without a word.
            if let Some(last) = last.filter(|last| Some(sequence) != last.checked_add(1)) {
                return Err(ReplayError::Hole {
                    last,
                    seen: sequence,
                });
            }
            last = Some(sequence);
            let decoded = decode_batch(&payload, &self.events);
            let timestamp = decode::timestamp(&payload, decoded.as_ref().ok());
            let stamp = Stamp {
                sequence,
                timestamp,
                stream,
            };
            let news = ReplayNews::Message {
                stamp,
                decoded: Box::new(decoded),
            };
            self.tell(publisher, order.run, news).await?;
        }
    }

    async fn tell(
        &self,
        publisher: &Arc<Publisher>,
        run: u64,
        news: ReplayNews,
    ) -> Result<(), ReplayError> {
        let replayed = Replayed {
            publisher: Arc::clone(publisher),
            run,
            news,
        };
        self.news
            .send(replayed)
            .await
            .map_err(|_| ReplayError::Stopped)
    }
}
