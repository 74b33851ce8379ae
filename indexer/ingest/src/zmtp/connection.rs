//! One TCP connection to a ZeroMQ peer, after the handshake.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::frame::{encode_command, encode_message};
use super::handshake::{
    GREETING_BYTES, SocketType, check_greeting, check_greeting_start, check_ready, opening,
};
use super::{Budget, Decoder, Item, Limits, Room, ZmtpError};

/// Bytes of one read; large enough that a burst costs few calls.
const READ_BYTES: usize = 64 * 1024;

/// A message of more bytes needs room in the budget before it is read on. What
/// a connection may have without asking is this and one read.
const SMALL_BYTES: usize = 64 * 1024;

/// Time for a message from its first byte to its last, without the time that it
/// waits for room here; also for a write.
const MESSAGE_TIME: Duration = Duration::from_secs(30);

/// A connection that has shaken hands.
#[derive(Debug)]
pub(crate) struct Connection<S = TcpStream> {
    stream: S,
    decoder: Decoder,
    buffer: BytesMut,
    budget: Budget,
    /// Of the unfinished message, if it is a large one.
    room: Option<Room>,
    /// When the unfinished message has to be there.
    deadline: Option<Instant>,
}

/// A whole message.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) frames: Vec<Bytes>,
    /// Held until the message is counted elsewhere; small ones have none.
    pub(crate) room: Option<Room>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Shakes hands within `timeout`. Large messages take room from `budget`.
    pub(crate) async fn open(
        stream: S,
        kind: SocketType,
        limits: Limits,
        budget: Budget,
        timeout: Duration,
    ) -> Result<Self, ZmtpError> {
        let mut connection = Self {
            stream,
            decoder: Decoder::new(limits),
            buffer: BytesMut::new(),
            budget,
            room: None,
            deadline: None,
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
            Item::Command(body) => check_ready(kind, &body)?,
            Item::Message(_) => return Err(ZmtpError::Command),
        }
        self.decoder.greeted();
        Ok(())
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
        self.write(&out).await
    }

    /// The next message. A peer's heartbeat is answered (libzmq hangs up
    /// otherwise); other commands are passed over.
    ///
    /// To be dropped together with the connection only: a heartbeat's answer may
    /// be half written.
    pub(crate) async fn receive(&mut self) -> Result<Received, ZmtpError> {
        loop {
            match self.next_item().await? {
                Item::Message(frames) => {
                    let room = self.room.take();
                    return Ok(Received { frames, room });
                }
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
        self.write(&out).await
    }

    /// A peer that takes nothing must not hold a message's room for ever.
    async fn write(&mut self, out: &[u8]) -> Result<(), ZmtpError> {
        let writing = self.stream.write_all(out);
        match tokio::time::timeout(MESSAGE_TIME, writing).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(ZmtpError::WriteTimeout {
                seconds: MESSAGE_TIME.as_secs(),
            }),
        }
    }

    async fn next_item(&mut self) -> Result<Item, ZmtpError> {
        loop {
            if let Some(item) = self.decoder.next(&mut self.buffer)? {
                if self.decoder.at_boundary() {
                    self.deadline = None;
                }
                if self.room.is_some() {
                    // Else the rest would keep the message's memory.
                    self.buffer = BytesMut::from(&self.buffer[..]);
                }
                return Ok(item);
            }
            self.make_room().await;
            self.read_some().await?;
        }
    }

    /// Waits for room for the announced message. Its sender's time stands still.
    async fn make_room(&mut self) {
        let announced = self.decoder.announced();
        if announced <= SMALL_BYTES {
            return;
        }
        let since = Instant::now();
        self.budget.grow(&mut self.room, announced).await;
        if let Some(deadline) = &mut self.deadline {
            *deadline += since.elapsed();
        }
        // At once: doubling would take up to twice what was counted.
        let missing = (announced + 2 * READ_BYTES).saturating_sub(self.buffer.len());
        self.buffer.reserve(missing);
    }

    async fn read_some(&mut self) -> Result<(), ZmtpError> {
        let between = self.decoder.at_boundary() && self.buffer.is_empty();
        self.buffer.reserve(READ_BYTES);
        let mut piece = (&mut self.buffer).limit(READ_BYTES);
        let reading = self.stream.read_buf(&mut piece);
        let length = if between {
            reading.await?
        } else {
            let deadline = self
                .deadline
                .get_or_insert_with(|| Instant::now() + MESSAGE_TIME);
            timeout_at(*deadline, reading)
                .await
                .map_err(|_| ZmtpError::MessageTimeout {
                    bytes: self.decoder.announced(),
                    seconds: MESSAGE_TIME.as_secs(),
                })??
        };
        match length {
            0 if between => Err(ZmtpError::Closed),
            0 => Err(ZmtpError::Truncated),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
