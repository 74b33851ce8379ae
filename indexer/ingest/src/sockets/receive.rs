//! One connection: receive, decode, queue.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indexer_events::{LiveFrame, parse_live};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{Inbound, Intake, Live};
use crate::config::HANDSHAKE_TIMEOUT;
use crate::decode;
use crate::findings::{Description, FindingKind, Findings};
use crate::keyed::{Keyed, Reading};
use crate::metrics::Metrics;
use crate::source::{Source, SourceError, StreamCache};
use crate::translate::Stamp;
use crate::turns::next_turn;
use crate::zmtp::{Budget, Connection, Limits, Received, SocketType, ZmtpError};

/// Frames of one message; engines send three.
pub(crate) const FRAMES: usize = 16;

/// Silence after which the system asks whether the peer still exists, and how
/// often it asks: a host that vanishes sends no farewell.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(30);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct SocketContext {
    pub(crate) intake: Intake,
    pub(crate) metrics: Metrics,
    pub(crate) findings: Findings,
    pub(crate) events: indexer_events::Limits,
    /// Whether any model's hashes are checked.
    pub(crate) checked: bool,
    pub(crate) message_bytes: usize,
    /// Of large messages that are being received.
    pub(crate) receiving: Budget,
    pub(crate) stop: CancellationToken,
    pub(crate) connections: AtomicU64,
}

impl SocketContext {
    fn limits(&self) -> Limits {
        Limits {
            message_bytes: self.message_bytes,
            frames: FRAMES,
        }
    }

    /// Shakes hands and subscribes.
    pub(super) async fn open(
        &self,
        stream: TcpStream,
        topic_prefix: &str,
    ) -> Result<Connection, ZmtpError> {
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE / 3);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        stream.set_nodelay(true)?;
        let opening = Connection::open(
            stream,
            SocketType::Sub,
            self.limits(),
            self.receiving.clone(),
            HANDSHAKE_TIMEOUT,
        );
        let mut connection = opening.await?;
        connection.subscribe(topic_prefix).await?;
        Ok(connection)
    }

    /// Receives until the connection ends or the ingestor stops.
    pub(super) async fn receive_all(
        &self,
        mut connection: Connection,
        source: &Source,
        peer: SocketAddr,
    ) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        self.metrics.connections.inc();
        if let Some(stream) = source.known() {
            let stream = Arc::new(stream);
            self.intake
                .send(Inbound::Opened {
                    connection: number,
                    stream,
                })
                .await;
        }
        let mut receiver = Receiver {
            context: self,
            source,
            peer,
            number,
            cache: StreamCache::default(),
            reading: Reading::new(self.events.clone(), self.checked),
        };
        let error = self
            .stop
            .run_until_cancelled(receiver.run(&mut connection))
            .await;
        if let Some(error) = error {
            self.metrics.connection_errors.add(error.label(), 1);
            tracing::info!(%peer, error = &error as &dyn std::error::Error, "connection ended");
        }
        self.metrics.connections.dec();
        self.intake
            .send(Inbound::Closed { connection: number })
            .await;
    }

    pub(super) fn refuse(&self, error: &ZmtpError, peer: SocketAddr) {
        self.metrics.connection_errors.add(error.label(), 1);
        tracing::info!(%peer, error = error as &dyn std::error::Error, "connection refused");
    }
}

struct Receiver<'a> {
    context: &'a SocketContext,
    source: &'a Source,
    peer: SocketAddr,
    number: u64,
    cache: StreamCache,
    reading: Reading,
}

impl Receiver<'_> {
    async fn run(&mut self, connection: &mut Connection) -> ZmtpError {
        loop {
            match connection.receive().await {
                Ok(received) => {
                    if !self.accept(received).await {
                        return ZmtpError::Closed;
                    }
                    next_turn();
                }
                Err(error) => return error,
            }
        }
    }

    /// Queues one message; `false` if nobody listens any more.
    async fn accept(&mut self, received: Received) -> bool {
        let Received { frames, room } = received;
        let metrics = &self.context.metrics;
        let size: usize = frames.iter().map(|frame| frame.len()).sum();
        metrics.received.inc();
        metrics.received_bytes.inc_by(size as u64);
        let frame = match parse_live(&frames) {
            Ok(frame) => frame,
            Err(error) => {
                self.reject("frame", &error);
                return true;
            }
        };
        let Some(permit) = self.context.intake.admit(size).await else {
            return false;
        };
        // The queue counts it now.
        drop(room);
        let keyed = self.reading.read(&frame.payload);
        let rank = keyed.as_ref().ok().map(|keyed| keyed.rank);
        let stream = match self
            .cache
            .resolve(self.source, frame.topic, rank, self.peer.ip())
        {
            Ok(stream) => stream,
            Err(error) => {
                self.reject_source(frame.topic, &error);
                return true;
            }
        };
        let stamp = stamp(&frame, keyed.as_ref().ok());
        let live = Live {
            connection: self.number,
            stream,
            stamp,
            keyed,
            permit,
        };
        self.context
            .intake
            .send(Inbound::Live(Box::new(live)))
            .await
    }

    fn reject(&self, label: &'static str, error: &dyn std::error::Error) {
        self.context.metrics.decode_errors.add(label, 1);
        self.context.metrics.messages.add("rejected", 1);
        let describe = || Description {
            seen: error.to_string(),
            expected: "3 frames: topic, sequence, payload".to_owned(),
            advice: "point only the engines' KV event publishers at this socket".to_owned(),
        };
        let subject = self.peer.ip().to_string();
        if self
            .context
            .findings
            .add(FindingKind::UnknownSource, &subject, describe)
        {
            self.context
                .metrics
                .findings
                .add(FindingKind::UnknownSource.as_str(), 1);
        }
    }

    fn reject_source(&self, topic: &str, error: &SourceError) {
        self.context.metrics.decode_errors.add(error.label(), 1);
        self.context.metrics.messages.add("rejected", 1);
        let describe = || Description {
            seen: format!(
                "topic {:?}: {error}",
                topic.chars().take(64).collect::<String>()
            ),
            expected: "topic kv@<ip[:port]>@<model>, or an identity for the socket".to_owned(),
            advice: "set the engine's KVEventsConfig.topic, or configure the socket's identity"
                .to_owned(),
        };
        let subject = self.peer.ip().to_string();
        if self
            .context
            .findings
            .add(FindingKind::UnknownSource, &subject, describe)
        {
            self.context
                .metrics
                .findings
                .add(FindingKind::UnknownSource.as_str(), 1);
        }
    }
}

fn stamp(frame: &LiveFrame<'_>, keyed: Option<&Keyed>) -> Stamp {
    let timestamp = decode::timestamp(&frame.payload, keyed);
    Stamp {
        sequence: frame.sequence,
        timestamp,
        stream: frame.stream,
    }
}
