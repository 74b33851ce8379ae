//! One TCP connection to a ZeroMQ peer, after the handshake.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::frame::encode_message;
use super::handshake::{
    GREETING_BYTES, SocketType, check_greeting, check_greeting_start, check_ready, opening,
};
use super::{Decoder, Item, Limits, ZmtpError};

/// Room asked for before each read; large enough that a burst costs few calls.
const READ_BYTES: usize = 64 * 1024;

/// A connection that has shaken hands.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    decoder: Decoder,
    buffer: BytesMut,
}

impl Connection {
    /// Shakes hands within `timeout`.
    pub(crate) async fn open(
        stream: TcpStream,
        kind: SocketType,
        limits: Limits,
        timeout: Duration,
    ) -> Result<Self, ZmtpError> {
        stream.set_nodelay(true)?;
        let mut connection =
            Self { stream, decoder: Decoder::new(limits), buffer: BytesMut::new() };
        match tokio::time::timeout(timeout, connection.shake_hands(kind)).await {
            Ok(result) => result.map(|()| connection),
            Err(_) => Err(ZmtpError::HandshakeTimeout { seconds: timeout.as_secs() }),
        }
    }

    async fn shake_hands(&mut self, kind: SocketType) -> Result<(), ZmtpError> {
        self.stream.write_all(&opening(kind)).await?;
        loop {
            check_greeting_start(&self.buffer)?;
            if self.buffer.len() >= GREETING_BYTES {
                break;
            }
            self.read_some().await?;
        }
        let mut greeting = [0; GREETING_BYTES];
        greeting.copy_from_slice(&self.buffer.split_to(GREETING_BYTES));
        check_greeting(&greeting)?;
        match self.next_item().await? {
            Item::Command(body) => check_ready(kind, &body),
            Item::Message(_) => Err(ZmtpError::Command),
        }
    }

    /// Subscribes to topics that begin with `prefix`; empty means all.
    pub(crate) async fn subscribe(&mut self, prefix: &str) -> Result<(), ZmtpError> {
        let mut body = Vec::with_capacity(prefix.len() + 1);
        body.push(1);
        body.extend_from_slice(prefix.as_bytes());
        self.send(&[&body]).await
    }

    /// Sends one message.
    pub(crate) async fn send(&mut self, frames: &[&[u8]]) -> Result<(), ZmtpError> {
        let mut out = BytesMut::new();
        encode_message(frames, &mut out);
        Ok(self.stream.write_all(&out).await?)
    }

    /// The next message. Commands after the handshake (a peer's heartbeat, say)
    /// ask nothing of a 3.0 peer and are passed over.
    ///
    /// Cancel safe: bytes that were read stay in the buffer.
    pub(crate) async fn receive(&mut self) -> Result<Vec<Bytes>, ZmtpError> {
        loop {
            if let Item::Message(frames) = self.next_item().await? {
                return Ok(frames);
            }
        }
    }

    async fn next_item(&mut self) -> Result<Item, ZmtpError> {
        loop {
            if let Some(item) = self.decoder.next(&mut self.buffer)? {
                return Ok(item);
            }
            self.read_some().await?;
        }
    }

    async fn read_some(&mut self) -> Result<(), ZmtpError> {
        self.buffer.reserve(READ_BYTES);
        if self.stream.read_buf(&mut self.buffer).await? > 0 {
            return Ok(());
        }
        if self.buffer.is_empty() && self.decoder.at_boundary() {
            Err(ZmtpError::Closed)
        } else {
            Err(ZmtpError::Truncated)
        }
    }
}
