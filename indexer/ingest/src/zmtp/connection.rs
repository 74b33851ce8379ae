//! One TCP connection to a ZeroMQ peer, after the handshake.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::frame::{encode_command, encode_message};
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
        let mut connection = Self {
            stream,
            decoder: Decoder::new(limits),
            buffer: BytesMut::new(),
        };
        match tokio::time::timeout(timeout, connection.shake_hands(kind)).await {
            Ok(result) => result.map(|()| connection),
            Err(_) => Err(ZmtpError::HandshakeTimeout {
                seconds: timeout.as_secs(),
            }),
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

    /// The next message. A peer's heartbeat is answered (libzmq hangs up
    /// otherwise); other commands are passed over.
    ///
    /// To be dropped together with the connection only: a heartbeat's answer may
    /// be half written.
    pub(crate) async fn receive(&mut self) -> Result<Vec<Bytes>, ZmtpError> {
        loop {
            match self.next_item().await? {
                Item::Message(frames) => return Ok(frames),
                Item::Command(body) => self.answer_heartbeat(&body).await?,
            }
        }
    }

    async fn answer_heartbeat(&mut self, body: &[u8]) -> Result<(), ZmtpError> {
        // `04 PING | time to live (2) | context (at most 16)`
        let Some(context) = body
            .strip_prefix(b"\x04PING")
            .and_then(|rest| rest.get(2..))
        else {
            return Ok(());
        };
        let mut pong = b"\x04PONG".to_vec();
        pong.extend_from_slice(&context[..context.len().min(16)]);
        let mut out = BytesMut::new();
        encode_command(&pong, &mut out);
        Ok(self.stream.write_all(&out).await?)
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
