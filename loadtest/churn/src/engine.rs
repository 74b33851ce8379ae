//! One simulated engine: a cache, a publishing socket, a sequence.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bytes::Bytes;
use rand::rngs::SmallRng;
use zeromq::{Socket, SocketRecv, SocketSend, XPubSocket};

use crate::cache::{Cache, Event};
use crate::prompts::{Population, Prompt};
use crate::wire;

/// One engine of the fleet.
pub(crate) struct Engine {
    /// `ip:port`, as requests would be routed to it.
    pub(crate) address: String,
    /// The truth that the index is compared with.
    pub(crate) cache: Cache,
    /// The sequence of the next message.
    pub(crate) sequence: u64,
    socket: XPubSocket,
    topic: Bytes,
    hashes: Vec<u64>,
    events: Vec<Event>,
}

impl Engine {
    /// Connects to the subscriber and waits for its subscription.
    pub(crate) async fn connect(
        subscriber: &str,
        number: usize,
        model: &str,
        capacity: usize,
    ) -> Result<Self> {
        let mut socket = XPubSocket::new();
        socket
            .connect(subscriber)
            .await
            .with_context(|| format!("connect to {subscriber}"))?;
        socket.recv().await.context("wait for the subscription")?;
        let address = format!(
            "10.{}.{}.{}:8000",
            number >> 16 & 255,
            number >> 8 & 255,
            number & 255
        );
        Ok(Self {
            topic: Bytes::from(format!("kv@{address}@{model}")),
            address,
            cache: Cache::new(capacity),
            sequence: 0,
            socket,
            hashes: Vec::new(),
            events: Vec::new(),
        })
    }

    /// Runs one prompt and publishes what changed. Returns the block events sent.
    pub(crate) async fn step(
        &mut self,
        population: &Population,
        random: &mut SmallRng,
    ) -> Result<u64> {
        let prompt: Prompt = population.draw(random);
        prompt.hashes(&mut self.hashes);
        self.events.clear();
        self.cache.run(&self.hashes, &mut self.events);
        if self.events.is_empty() {
            return Ok(0);
        }
        let message = wire::message(
            &self.topic,
            self.sequence,
            now(),
            &prompt,
            &self.hashes,
            &self.events,
        )
        .context("encode")?;
        self.socket.send(message).await.context("publish")?;
        self.sequence += 1;
        Ok(self.events.iter().map(block_events).sum())
    }

    /// The process dies and comes back with an empty cache and sequence 0.
    pub(crate) fn restart(&mut self) {
        self.cache.clear();
        self.sequence = 0;
    }
}

fn block_events(event: &Event) -> u64 {
    match event {
        Event::Stored { first, last } => (last - first + 1) as u64,
        Event::Removed(_) => 1,
    }
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
