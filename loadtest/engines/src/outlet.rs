//! Where an engine's messages go: a publishing socket, and for engines that are
//! connected to also a replay socket.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use zeromq::{
    Endpoint, PubSocket, RouterSocket, Socket, SocketRecv, SocketSend, XPubSocket, ZmqError,
    ZmqMessage,
};

/// The end mark of a replay.
const END: [u8; 8] = [0xff; 8];

/// How long one reader of a replay may keep it from going on.
const REPLAY_PATIENCE: Duration = Duration::from_secs(2);

/// How long a port of the last lifetime may stay taken.
const BIND_LIMIT: Duration = Duration::from_secs(10);

/// The ports that an engine binds on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Events (PUB).
    pub events: u16,
    /// Replay (ROUTER).
    pub replay: u16,
}

/// One message as it was published, kept for replays.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) sequence: u64,
    pub(crate) payload: Bytes,
}

pub(crate) enum Outlet {
    /// Connected to a subscriber that binds. No replay.
    Connected(XPubSocket),
    /// Bound, with replay.
    Bound(Bound),
}

pub(crate) struct Bound {
    ports: Ports,
    steps: usize,
    sockets: Option<Sockets>,
}

struct Sockets {
    events: PubSocket,
    kept: Arc<Mutex<VecDeque<Sent>>>,
    replay: JoinHandle<()>,
}

impl Outlet {
    pub(crate) async fn connect(subscriber: &str) -> Result<Self> {
        let mut socket = XPubSocket::new();
        socket
            .connect(subscriber)
            .await
            .with_context(|| format!("connect to {subscriber}"))?;
        socket.recv().await.context("wait for the subscription")?;
        Ok(Self::Connected(socket))
    }

    /// Keeps the last `steps` messages for replays.
    pub(crate) async fn bind(ports: Ports, steps: usize) -> Result<Self> {
        Ok(Self::Bound(Bound {
            ports,
            steps,
            sockets: Some(Sockets::open(ports).await?),
        }))
    }

    pub(crate) async fn publish(
        &mut self,
        topic: &Bytes,
        sequence: u64,
        payload: Bytes,
    ) -> Result<()> {
        match self {
            Self::Connected(socket) => socket.send(frames(topic, sequence, payload)).await,
            Self::Bound(bound) => bound.publish(topic, sequence, payload).await,
        }
        .context("publish")
    }

    /// What was kept is lost, and connections are cut, as when a process dies.
    pub(crate) async fn close(&mut self) {
        if let Self::Bound(bound) = self
            && let Some(sockets) = bound.sockets.take()
        {
            sockets.replay.abort();
            let _ = sockets.replay.await;
            sockets.events.close().await;
        }
    }

    /// Binds again after [`close`](Self::close).
    pub(crate) async fn open(&mut self) -> Result<()> {
        if let Self::Bound(bound) = self
            && bound.sockets.is_none()
        {
            bound.sockets = Some(Sockets::open(bound.ports).await?);
        }
        Ok(())
    }
}

impl Bound {
    async fn publish(
        &mut self,
        topic: &Bytes,
        sequence: u64,
        payload: Bytes,
    ) -> Result<(), ZmqError> {
        let Some(sockets) = &mut self.sockets else {
            return Err(ZmqError::Socket("the engine is down"));
        };
        // Kept first: a reader that sees a gap may ask for it at once.
        let mut kept = sockets.kept.lock().await;
        if kept.len() == self.steps {
            kept.pop_front();
        }
        kept.push_back(Sent {
            sequence,
            payload: payload.clone(),
        });
        drop(kept);
        sockets.events.send(frames(topic, sequence, payload)).await
    }
}

impl Sockets {
    async fn open(ports: Ports) -> Result<Self> {
        let mut events = PubSocket::new();
        bind(&mut events, local(ports.events)).await?;
        let mut router = RouterSocket::new();
        bind(&mut router, local(ports.replay)).await?;
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let replay = tokio::spawn(serve_replays(router, Arc::clone(&kept), None));
        Ok(Self {
            events,
            kept,
            replay,
        })
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Returns the address with the port that port 0 became.
pub(crate) async fn bind(socket: &mut impl Socket, address: SocketAddr) -> Result<SocketAddr> {
    let mut bound = address;
    let address = format!("tcp://{address}");
    let deadline = tokio::time::Instant::now() + BIND_LIMIT;
    loop {
        match socket.bind(&address).await {
            Ok(Endpoint::Tcp(_, port)) => {
                bound.set_port(port);
                return Ok(bound);
            }
            Ok(other) => bail!("{address} was bound as {other}"),
            Err(error) if tokio::time::Instant::now() > deadline => {
                return Err(error).with_context(|| format!("bind {address}"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// With a topic, as vLLM from 0.26 on answers; without, as before.
pub(crate) async fn serve_replays(
    mut router: RouterSocket,
    kept: Arc<Mutex<VecDeque<Sent>>>,
    topic: Option<Bytes>,
) {
    while let Ok(request) = router.recv().await {
        let frames = request.into_vec();
        let [identity, .., start] = frames.as_slice() else {
            continue;
        };
        let Ok(start) = <[u8; 8]>::try_from(start.as_ref()).map(u64::from_be_bytes) else {
            continue;
        };
        let wanted: Vec<Sent> = {
            let kept = kept.lock().await;
            let late = kept.iter().filter(|sent| sent.sequence >= start);
            late.cloned().collect()
        };
        for sent in wanted {
            let sequence = sent.sequence.to_be_bytes();
            if !reply(&mut router, identity, topic.clone(), sequence, sent.payload).await {
                break;
            }
        }
        let no_topic = topic.as_ref().map(|_| Bytes::new());
        reply(&mut router, identity, no_topic, END, Bytes::new()).await;
    }
}

/// Whether the reader took it.
async fn reply(
    router: &mut RouterSocket,
    identity: &Bytes,
    topic: Option<Bytes>,
    sequence: [u8; 8],
    payload: Bytes,
) -> bool {
    let mut message = ZmqMessage::from(identity.clone());
    message.push_back(Bytes::new());
    if let Some(topic) = topic {
        message.push_back(topic);
    }
    message.push_back(Bytes::copy_from_slice(&sequence));
    message.push_back(payload);
    let sent = tokio::time::timeout(REPLAY_PATIENCE, router.send(message)).await;
    matches!(sent, Ok(Ok(())))
}

pub(crate) fn frames(topic: &Bytes, sequence: u64, payload: Bytes) -> ZmqMessage {
    let mut message = ZmqMessage::from(topic.clone());
    message.push_back(Bytes::copy_from_slice(&sequence.to_be_bytes()));
    message.push_back(payload);
    message
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Some(sockets) = &self.sockets {
            sockets.replay.abort();
        }
    }
}
