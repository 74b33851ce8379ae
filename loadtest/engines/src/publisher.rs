//! An engine's publisher as its users configure it: a socket that binds or
//! connects, and a replay socket that binds.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use zeromq::{PubSocket, RouterSocket, Socket, SocketSend};

use crate::link::{self, Frames};
use crate::outlet::{Sent, bind, frames, serve_replays};

/// Messages that may be under way; more are lost, as at vLLM's high water mark.
const UNDER_WAY: usize = 100_000;

/// Where the events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventsEndpoint {
    /// `tcp://host:port` of a subscriber that binds.
    Connect(String),
    /// Subscribers connect to this address.
    Bind(SocketAddr),
}

/// How an engine publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublisherConfig {
    /// Where the events go.
    pub events: EventsEndpoint,
    /// Where replays are asked for.
    pub replay: Option<SocketAddr>,
    /// Messages kept for replays.
    pub replay_steps: usize,
    /// The first frame of every message.
    pub topic: String,
    /// Whether replays carry the topic: vLLM from 0.26 on.
    pub topic_in_replays: bool,
}

/// One lifetime of a publisher: messages are numbered from 0.
pub struct Publisher {
    topic: Bytes,
    steps: usize,
    sequence: u64,
    socket: Outward,
    replay: Option<Replay>,
}

enum Outward {
    Bound {
        socket: PubSocket,
        address: SocketAddr,
    },
    Connected {
        messages: mpsc::Sender<Frames>,
        subscribed: watch::Receiver<bool>,
        task: Task,
    },
}

struct Replay {
    address: SocketAddr,
    kept: Arc<Mutex<VecDeque<Sent>>>,
    task: Task,
}

impl Publisher {
    /// Opens the sockets. A subscriber to connect to need not be there yet.
    ///
    /// # Errors
    /// If a port is taken.
    pub async fn open(config: &PublisherConfig) -> Result<Self> {
        let topic = Bytes::from(config.topic.clone());
        let socket = match &config.events {
            EventsEndpoint::Bind(address) => {
                let mut socket = PubSocket::new();
                let address = bind(&mut socket, *address).await?;
                Outward::Bound { socket, address }
            }
            EventsEndpoint::Connect(subscriber) => connected(subscriber),
        };
        let replay = match config.replay {
            Some(address) => {
                let topic = config.topic_in_replays.then(|| topic.clone());
                Some(Replay::open(address, topic).await?)
            }
            None => None,
        };
        Ok(Self {
            topic,
            steps: config.replay_steps,
            sequence: 0,
            socket,
            replay,
        })
    }

    /// Where subscribers connect to, if they do.
    #[must_use]
    pub fn events_address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Outward::Bound { address, .. } => Some(*address),
            Outward::Connected { .. } => None,
        }
    }

    /// Where replays are asked for.
    #[must_use]
    pub fn replay_address(&self) -> Option<SocketAddr> {
        self.replay.as_ref().map(|replay| replay.address)
    }

    /// Whether the subscriber that this one connects to has subscribed: from then on
    /// nothing is lost. `None` if it binds and cannot know.
    #[must_use]
    pub fn subscribed(&self) -> Option<watch::Receiver<bool>> {
        match &self.socket {
            Outward::Bound { .. } => None,
            Outward::Connected { subscribed, .. } => Some(subscribed.clone()),
        }
    }

    /// The number of the next message.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Publishes the next message. Without `send` it is kept for replays only: lost
    /// on its way, as far as a subscriber can tell.
    ///
    /// # Errors
    /// If the socket is gone.
    pub async fn publish(&mut self, payload: Bytes, send: bool) -> Result<()> {
        let sequence = self.sequence;
        self.sequence += 1;
        if let Some(replay) = &self.replay {
            replay.keep(sequence, &payload, self.steps).await;
        }
        if !send {
            return Ok(());
        }
        match &mut self.socket {
            Outward::Bound { socket, .. } => {
                let message = frames(&self.topic, sequence, payload);
                socket.send(message).await.context("publish")?;
            }
            Outward::Connected { messages, .. } => {
                let number = Bytes::copy_from_slice(&sequence.to_be_bytes());
                // A full queue loses the message, as any PUB socket does.
                let _ = messages.try_send([self.topic.clone(), number, payload]);
            }
        }
        Ok(())
    }

    /// Closes the sockets, as when the process dies.
    pub async fn close(mut self) {
        if let Some(replay) = self.replay.take() {
            replay.task.end().await;
        }
        match self.socket {
            Outward::Bound { socket, .. } => {
                socket.close().await;
            }
            Outward::Connected { task, .. } => {
                task.end().await;
            }
        }
    }
}

impl Replay {
    async fn open(address: SocketAddr, topic: Option<Bytes>) -> Result<Self> {
        let mut router = RouterSocket::new();
        let address = bind(&mut router, address).await?;
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let task = Task::spawn(serve_replays(router, Arc::clone(&kept), topic));
        Ok(Self {
            address,
            kept,
            task,
        })
    }

    /// Before it is sent: a reader that sees a gap may ask for it at once.
    async fn keep(&self, sequence: u64, payload: &Bytes, steps: usize) {
        let mut kept = self.kept.lock().await;
        while kept.len() >= steps.max(1) {
            kept.pop_front();
        }
        kept.push_back(Sent {
            sequence,
            payload: payload.clone(),
        });
    }
}

/// A task that ends with its owner.
struct Task(JoinHandle<()>);

impl Task {
    fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// On return its sockets are closed.
    async fn end(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn connected(subscriber: &str) -> Outward {
    let (messages, queue) = mpsc::channel(UNDER_WAY);
    let (say, subscribed) = watch::channel(false);
    let task = Task::spawn(link::run(subscriber.to_owned(), queue, say));
    Outward::Connected {
        messages,
        subscribed,
        task,
    }
}
