//! Publishes a recording as the engine did.

use std::time::Duration;

use bytes::Bytes;
use zeromq::{Socket, SocketRecv, SocketSend, XPubSocket, ZmqError, ZmqMessage};

use crate::Published;

/// How long a subscriber may take to subscribe.
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(10);

/// An engine that connects its publishing socket to a bound subscriber, as vLLM
/// does when its endpoint holds no `*`.
///
/// It is an XPUB socket, which looks like PUB to the other side but lets us see
/// the subscription arrive: what a PUB sends before that is lost by design.
pub struct RecordedEngine {
    socket: XPubSocket,
    topic: Bytes,
}

/// Why a recording could not be published.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The subscriber cannot be reached.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where the subscriber was expected.
        address: String,
        /// What the socket said.
        #[source]
        source: ZmqError,
    },
    /// The subscriber did not subscribe.
    #[error("{address} accepted the connection but did not subscribe within {SUBSCRIBE_LIMIT:?}")]
    NoSubscription {
        /// The subscriber.
        address: String,
    },
    /// A message could not be sent.
    #[error("cannot send message {sequence}")]
    Send {
        /// The message's number.
        sequence: u64,
        /// What the socket said.
        #[source]
        source: ZmqError,
    },
}

impl RecordedEngine {
    /// Connects to `address` (`tcp://ip:port`) and waits for its subscription.
    /// Every message will carry `topic` in place of the recorded one.
    pub async fn connect(address: &str, topic: &str) -> Result<Self, EngineError> {
        let mut socket = XPubSocket::new();
        socket
            .connect(address)
            .await
            .map_err(|source| EngineError::Connect {
                address: address.to_owned(),
                source,
            })?;
        tokio::time::timeout(SUBSCRIBE_LIMIT, socket.recv())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| EngineError::NoSubscription {
                address: address.to_owned(),
            })?;
        Ok(Self {
            socket,
            topic: Bytes::from(topic.to_owned()),
        })
    }

    /// Publishes one message.
    pub async fn publish(&mut self, message: &Published) -> Result<(), EngineError> {
        let sequence = message.sequence;
        let mut frames = ZmqMessage::from(self.topic.clone());
        frames.push_back(message.sequence_frame.clone());
        frames.push_back(message.payload.clone());
        self.socket
            .send(frames)
            .await
            .map_err(|source| EngineError::Send { sequence, source })
    }
}
