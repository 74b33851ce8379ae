//! One simulated engine: a cache, its sockets, a sequence.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bytes::Bytes;
use rand::rngs::SmallRng;

use crate::cache::{Cache, Event};
use crate::outlet::{Outlet, Ports};
use crate::prompts::{Population, Prompt};
use crate::wire;

/// One engine of the fleet.
pub struct Engine {
    /// `ip:port`, as requests would be routed to it.
    pub address: String,
    /// The truth that the index is compared with.
    pub cache: Cache,
    /// The sequence of the next message.
    pub sequence: u64,
    /// Lifetimes so far, from 1.
    pub life: u32,
    /// How far its clock is from the machine's, in seconds.
    pub clock_offset: f64,
    outlet: Outlet,
    topic: Bytes,
    hashes: Vec<u64>,
    events: Vec<Event>,
}

impl Engine {
    /// Connects to a subscriber that binds, and waits for its subscription. Such an
    /// engine has no replay socket.
    ///
    /// # Errors
    /// If the subscriber cannot be reached.
    pub async fn connect(
        subscriber: &str,
        number: usize,
        model: &str,
        capacity: usize,
    ) -> Result<Self> {
        let outlet = Outlet::connect(subscriber).await?;
        Ok(Self::new(outlet, number, model, capacity))
    }

    /// Binds its sockets, and keeps the last `replay_steps` messages of its
    /// lifetime for replays.
    ///
    /// # Errors
    /// If a port is taken.
    pub async fn bind(
        ports: Ports,
        number: usize,
        model: &str,
        capacity: usize,
        replay_steps: usize,
    ) -> Result<Self> {
        let outlet = Outlet::bind(ports, replay_steps).await?;
        Ok(Self::new(outlet, number, model, capacity))
    }

    /// The address that the engine with this number has.
    #[must_use]
    pub fn address_of(number: usize) -> String {
        format!(
            "10.{}.{}.{}:8000",
            number >> 16 & 255,
            number >> 8 & 255,
            number & 255
        )
    }

    fn new(outlet: Outlet, number: usize, model: &str, capacity: usize) -> Self {
        let address = Self::address_of(number);
        Self {
            topic: Bytes::from(format!("kv@{address}@{model}")),
            address,
            cache: Cache::new(capacity),
            sequence: 0,
            life: 1,
            clock_offset: 0.0,
            outlet,
            hashes: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Runs one prompt of the population. Returns the block events published.
    ///
    /// # Errors
    /// If publishing fails.
    pub async fn step(&mut self, population: &Population, random: &mut SmallRng) -> Result<u64> {
        let prompt = population.draw(random);
        self.run(&prompt).await
    }

    /// Runs one prompt and publishes what changed. Returns the block events
    /// published: none if the cache held all of it.
    ///
    /// # Errors
    /// If publishing fails, or the engine is down.
    pub async fn run(&mut self, prompt: &Prompt) -> Result<u64> {
        prompt.hashes(&mut self.hashes);
        self.events.clear();
        self.cache.run(&self.hashes, &mut self.events);
        if self.events.is_empty() {
            return Ok(0);
        }
        let payload = wire::payload(self.now(), prompt, &self.hashes, &self.events);
        self.publish(payload.context("encode")?).await?;
        Ok(self.events.iter().map(block_events).sum())
    }

    /// Blocks of the prompt that it holds, without a hole from the first one on.
    #[must_use]
    pub fn holds(&self, prompt: &Prompt) -> usize {
        let mut hashes = Vec::new();
        prompt.hashes(&mut hashes);
        self.cache.matched(&hashes)
    }

    /// Drops every block and says so, as an engine does whose weights change.
    ///
    /// # Errors
    /// If publishing fails, or the engine is down.
    pub async fn clear(&mut self) -> Result<()> {
        self.cache.clear();
        let payload = wire::cleared(self.now()).context("encode")?;
        self.publish(payload).await
    }

    /// The process dies and comes back with an empty cache and sequence 0, but on
    /// the same connection. For engines that [`connect`](Self::connect).
    pub fn restart(&mut self) {
        self.cache.clear();
        self.sequence = 0;
        self.life += 1;
    }

    /// The process dies: connections are cut, what was kept for replays is lost.
    pub async fn stop(&mut self) {
        self.outlet.close().await;
    }

    /// A new process takes the place of the one that was [`stop`](Self::stop)ped.
    ///
    /// # Errors
    /// If a port is taken.
    pub async fn start(&mut self) -> Result<()> {
        self.restart();
        self.outlet.open().await
    }

    async fn publish(&mut self, payload: Vec<u8>) -> Result<()> {
        let payload = Bytes::from(payload);
        self.outlet
            .publish(&self.topic, self.sequence, payload)
            .await?;
        self.sequence += 1;
        Ok(())
    }

    fn now(&self) -> f64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0.0, |since| since.as_secs_f64()) + self.clock_offset
    }
}

fn block_events(event: &Event) -> u64 {
    match event {
        Event::Stored { first, last } => (last - first + 1) as u64,
        Event::Removed(_) => 1,
    }
}
