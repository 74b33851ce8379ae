//! Asking an engine for messages that it published before.

mod fair;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use indexer_events::{BatchError, FrameError, ReplayFrame, parse_replay, replay_request};
use proto_model::Publisher;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::config::Backoff;
use crate::keyed::{Keyed, Reading};
use crate::sequencer::{ReplayEnd, ReplayOrder};
use crate::translate::Stamp;
use crate::zmtp::{Budget, Connection, Limits, Room, SocketType, ZmtpError};
use crate::{TcpAddress, decode};
use fair::Pace;

pub(crate) use fair::Turns;

/// Messages between replays and the driver.
pub(crate) const REPLAY_QUEUE: usize = 1024;

/// Replay connections open or being opened for each that may run: hosts that do
/// not answer keep only one another waiting.
pub(crate) const OPEN_PER_SLOT: usize = 16;

/// What a replay tells the driver.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) run: u64,
    pub(crate) news: ReplayNews,
    /// In the queue, for a message.
    pub(crate) room: Option<Room>,
}

/// One piece of a replay.
#[derive(Debug)]
pub(crate) enum ReplayNews {
    /// A message.
    Message {
        stamp: Stamp,
        keyed: Box<Result<Keyed, BatchError>>,
    },
    /// The replay is over.
    Ended(ReplayEnd),
}

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error("cannot use the replay socket")]
    Connection(#[from] ZmtpError),
    #[error("no connection within {0:?}")]
    Connect(Duration),
    #[error("no answer within {0:?}, or too slow a one")]
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
    /// Each host is asked for one replay at a time.
    pub(crate) turns: Turns,
    /// Connections open or being opened.
    pub(crate) open: Arc<Semaphore>,
    /// Replays under way, on connections that have shaken hands.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) limits: Limits,
    /// Of large messages that are being received.
    pub(crate) receiving: Budget,
    /// Of messages that the driver has not taken yet.
    pub(crate) queue: Budget,
    pub(crate) events: indexer_events::Limits,
    /// Whether any model's hashes are checked.
    pub(crate) checked: bool,
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
        let end = match self.fetch(&publisher, &address, order).await {
            Ok(()) => ReplayEnd::Complete,
            Err(ReplayError::Stopped) => return,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::info!(%publisher, %address, from = order.from, error, "replay failed");
                ReplayEnd::Failed
            }
        };
        let ended = ReplayNews::Ended(end);
        self.tell(&publisher, order.run, ended, None).await.ok();
    }

    /// A slot is taken only once the other side has shaken hands.
    async fn fetch(
        &self,
        publisher: &Arc<Publisher>,
        address: &TcpAddress,
        order: ReplayOrder,
    ) -> Result<(), ReplayError> {
        let addresses = self.in_time(resolve(address)).await?;
        let host = addresses.first().map(SocketAddr::ip);
        let host = host.ok_or_else(|| ZmtpError::Io(std::io::ErrorKind::NotFound.into()))?;
        let _turn = self.turns.take(host).await.ok_or(ReplayError::Stopped)?;
        let open = Arc::clone(&self.open).acquire_owned().await;
        let _open = open.map_err(|_| ReplayError::Stopped)?;
        let mut connection = self.in_time(self.open(&addresses)).await?;
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let _slot = slot.map_err(|_| ReplayError::Stopped)?;
        self.ask(&mut connection, publisher, order).await
    }

    async fn in_time<T>(
        &self,
        opening: impl Future<Output = Result<T, ZmtpError>>,
    ) -> Result<T, ReplayError> {
        let opened = tokio::time::timeout(self.timeout, opening).await;
        Ok(opened.map_err(|_| ReplayError::Connect(self.timeout))??)
    }

    async fn open(&self, addresses: &[SocketAddr]) -> Result<Connection, ZmtpError> {
        let stream = TcpStream::connect(addresses).await?;
        stream.set_nodelay(true)?;
        let budget = self.receiving.clone();
        let kind = SocketType::Dealer;
        Connection::open(stream, kind, self.limits, budget, self.timeout).await
    }

    async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        connection: &mut Connection<S>,
        publisher: &Arc<Publisher>,
        order: ReplayOrder,
    ) -> Result<(), ReplayError> {
        let request = replay_request(order.from);
        connection.send(&[&request[0], &request[1]]).await?;
        let mut pace = Pace::new(self.timeout);
        let mut last: Option<u64> = None;
        let mut reading = Reading::new(self.events.clone(), self.checked);
        loop {
            let since = Instant::now();
            let received = tokio::time::timeout(pace.left(), connection.receive()).await;
            let received = received.map_err(|_| ReplayError::Silence(self.timeout))??;
            let frames = received.frames;
            let size = frames.iter().map(|frame| frame.len()).sum();
            pace.came(since.elapsed(), size);
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
            let room = self.queue.take(size).await;
            drop(received.room);
            let keyed = reading.read(&payload);
            let timestamp = decode::timestamp(&payload, keyed.as_ref().ok());
            let stamp = Stamp {
                sequence,
                timestamp,
                stream,
            };
            let news = ReplayNews::Message {
                stamp,
                keyed: Box::new(keyed),
            };
            self.tell(publisher, order.run, news, room).await?;
        }
    }

    async fn tell(
        &self,
        publisher: &Arc<Publisher>,
        run: u64,
        news: ReplayNews,
        room: Option<Room>,
    ) -> Result<(), ReplayError> {
        let replayed = Replayed {
            publisher: Arc::clone(publisher),
            run,
            news,
            room,
        };
        self.news
            .send(replayed)
            .await
            .map_err(|_| ReplayError::Stopped)
    }
}

async fn resolve(address: &TcpAddress) -> Result<Vec<SocketAddr>, ZmtpError> {
    let (host, port) = address.to_socket();
    let found = tokio::net::lookup_host((host.as_str(), port)).await?;
    Ok(found.collect())
}

#[cfg(test)]
mod tests;
