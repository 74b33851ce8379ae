//! A publishing socket that connects to a subscriber that binds, and connects
//! again whenever it is gone: what libzmq does for vLLM.
//!
//! It speaks ZMTP 3.0 itself, because the library's sockets do not say when a
//! subscription has arrived *and* when its connection has ended.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};

/// Before a connection is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// How long the other side may take to greet.
const GREETING_LIMIT: Duration = Duration::from_secs(10);

/// Subscriptions and commands are short.
const FRAME_LIMIT: u64 = 64 << 10;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// One message to publish.
pub(crate) type Frames = [Bytes; 3];

/// Publishes what comes in, for as long as somebody can send more.
///
/// As with any PUB socket, what comes while nobody is subscribed is lost.
/// `subscribed` says whether somebody is.
pub(crate) async fn run(
    subscriber: String,
    mut messages: mpsc::Receiver<Frames>,
    subscribed: watch::Sender<bool>,
) {
    loop {
        let Ok(connection) = connect(&subscriber).await else {
            if !wait(&mut messages).await {
                return;
            }
            continue;
        };
        let (reader, writer) = connection.into_split();
        let open = serve(reader, writer, &mut messages, &subscribed).await;
        subscribed.send_replace(false);
        if !open {
            return;
        }
    }
}

/// Drops what comes for a moment. False if nothing more can come.
async fn wait(messages: &mut mpsc::Receiver<Frames>) -> bool {
    let pause = tokio::time::sleep(RETRY);
    tokio::pin!(pause);
    loop {
        tokio::select! {
            () = &mut pause => return true,
            message = messages.recv() => if message.is_none() { return false },
        }
    }
}

/// Until the connection ends (true) or nothing more can come (false).
async fn serve(
    reader: OwnedReadHalf,
    mut writer: OwnedWriteHalf,
    messages: &mut mpsc::Receiver<Frames>,
    subscribed: &watch::Sender<bool>,
) -> bool {
    let follow = follow_subscriptions(reader, subscribed);
    tokio::pin!(follow);
    loop {
        let message = tokio::select! {
            () = &mut follow => return true,
            message = messages.recv() => message,
        };
        let Some(message) = message else {
            return false;
        };
        if !*subscribed.borrow() {
            continue;
        }
        let bytes = encode(&message);
        let sent = tokio::select! {
            () = &mut follow => return true,
            sent = writer.write_all(&bytes) => sent,
        };
        if sent.is_err() {
            return true;
        }
    }
}

/// Ends with the connection. Whatever the subscriber asks for, it gets all: an
/// engine has one topic.
async fn follow_subscriptions(mut reader: OwnedReadHalf, subscribed: &watch::Sender<bool>) {
    while let Ok((flags, body)) = read_frame(&mut reader).await {
        if flags & COMMAND == 0
            && let Some(kind) = body.first()
        {
            subscribed.send_replace(*kind == 1);
        }
    }
}

async fn connect(subscriber: &str) -> Result<TcpStream> {
    let address = subscriber
        .strip_prefix("tcp://")
        .with_context(|| format!("{subscriber} does not begin with tcp://"))?;
    let mut connection = TcpStream::connect(address).await?;
    connection.set_nodelay(true)?;
    tokio::time::timeout(GREETING_LIMIT, greet(&mut connection)).await??;
    Ok(connection)
}

async fn greet(connection: &mut TcpStream) -> Result<()> {
    let mut greeting = [0_u8; 64];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[12..16].copy_from_slice(b"NULL");
    connection.write_all(&greeting).await?;
    let mut theirs = [0_u8; 64];
    connection.read_exact(&mut theirs).await?;
    ensure!(
        theirs[0] == 0xff && theirs[10] >= 3,
        "the other side does not speak ZMTP 3"
    );
    let mut ready = BytesMut::new();
    ready.put_slice(b"\x05READY\x0bSocket-Type");
    ready.put_u32(3);
    ready.put_slice(b"PUB");
    let mut frame = BytesMut::new();
    put_frame(&mut frame, COMMAND, &ready);
    connection.write_all(&frame).await?;
    let (flags, body) = read_frame(connection).await?;
    ensure!(
        flags & COMMAND != 0 && body.starts_with(b"\x05READY"),
        "the other side is not ready"
    );
    Ok(())
}

async fn read_frame(reader: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Vec<u8>)> {
    let flags = reader.read_u8().await?;
    let length = if flags & LONG == 0 {
        u64::from(reader.read_u8().await?)
    } else {
        reader.read_u64().await?
    };
    if length > FRAME_LIMIT {
        bail!("a subscriber sent a frame of {length} bytes");
    }
    let mut body = vec![0; usize::try_from(length)?];
    reader.read_exact(&mut body).await?;
    Ok((flags, body))
}

fn encode(message: &Frames) -> Bytes {
    let length: usize = message.iter().map(|frame| frame.len() + 9).sum();
    let mut out = BytesMut::with_capacity(length);
    let [topic, sequence, payload] = message;
    put_frame(&mut out, MORE, topic);
    put_frame(&mut out, MORE, sequence);
    put_frame(&mut out, 0, payload);
    out.freeze()
}

fn put_frame(out: &mut BytesMut, flags: u8, body: &[u8]) {
    if let Ok(length) = u8::try_from(body.len()) {
        out.put_u8(flags);
        out.put_u8(length);
    } else {
        out.put_u8(flags | LONG);
        out.put_u64(body.len() as u64);
    }
    out.put_slice(body);
}
