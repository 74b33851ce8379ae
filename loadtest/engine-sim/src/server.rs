//! Engines with sockets, driven by the wall clock.

mod answer;
mod body;
mod clock;
mod config;
mod driver;
mod faults;
mod metrics;
mod ongoing;
mod outbox;
mod render;
mod reply;
mod routes;
mod serve;
mod shared;
mod statistics;
mod tokens;
mod truth;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use loadtest_engines::{EventsEndpoint, Publisher, PublisherConfig};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub use config::SimConfig;
pub use faults::Faults;
pub use tokens::Tokenizer;
pub use truth::Truth;

use crate::engine::{Engine, Generation};
use driver::{Command, Driver};
use shared::Shared;

/// Requests between connections and the engine; more wait in their connections.
const COMMANDS: usize = 1_024;

/// A running engine. It stops when it is dropped; connections are cut.
pub struct EngineSim {
    shared: Arc<Shared>,
    address: SocketAddr,
    events: Option<SocketAddr>,
    replay: Option<SocketAddr>,
    driver: JoinHandle<()>,
    server: JoinHandle<()>,
}

/// How an engine is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Its name.
    pub engine: String,
    /// Lifetimes so far, from 1.
    pub life: u64,
    /// Requests that are being computed.
    pub running: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Share of the cache in use, 0 to 1.
    pub kv_usage: f64,
    /// Prompt tokens looked up in the cache in this life.
    pub prefix_queries: u64,
    /// Of these, found.
    pub prefix_hits: u64,
    /// Tokens generated in this life.
    pub generated_tokens: u64,
    /// The number of its next message.
    pub sequence: u64,
    /// Whether the subscriber that it connects to has subscribed.
    pub subscribed: bool,
}

impl EngineSim {
    /// Binds its sockets and starts.
    ///
    /// # Errors
    /// If the configuration contradicts itself or an address is taken.
    pub async fn start(mut config: SimConfig) -> Result<Self> {
        let engine = Engine::new(&config.engine)?;
        let listener = TcpListener::bind(config.listen).await;
        let listener = listener.with_context(|| format!("listen on {}", config.listen))?;
        let address = listener.local_addr()?;
        config.listen = address;
        let mut publishing = publishing(&config);
        let publisher = match &publishing {
            Some(publishing) => Some(Publisher::open(publishing).await?),
            None => None,
        };
        let events = publisher.as_ref().and_then(Publisher::events_address);
        let replay = publisher.as_ref().and_then(Publisher::replay_address);
        if let Some(publishing) = &mut publishing {
            // Later lives take the same ports.
            publishing.replay = replay;
            if let Some(events) = events {
                publishing.events = EventsEndpoint::Bind(events);
            }
        }
        let (commands, queue) = mpsc::channel(COMMANDS);
        let shared = Arc::new(Shared::new(config, commands));
        let driver = Driver::new(Arc::clone(&shared), queue, engine, publishing, publisher);
        let router = routes::router(&shared);
        let serving = serve::serve(listener, router, Arc::clone(&shared));
        Ok(Self {
            driver: tokio::spawn(driver.run()),
            server: tokio::spawn(serving),
            shared,
            address,
            events,
            replay,
        })
    }

    /// Where its HTTP server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where subscribers connect to, if they do.
    #[must_use]
    pub fn events_address(&self) -> Option<SocketAddr> {
        self.events
    }

    /// Where replays are asked for, if they can be.
    #[must_use]
    pub fn replay_address(&self) -> Option<SocketAddr> {
        self.replay
    }

    /// Returns when the subscriber that it connects to has subscribed: events from
    /// then on are not lost. Never returns for an engine that binds.
    pub async fn subscribed(&self) {
        let mut subscribed = self.shared.subscribed.subscribe();
        // The sender lives as long as the engine, so waiting cannot fail.
        let _ = subscribed.wait_for(|now| *now).await;
    }

    /// How it is.
    #[must_use]
    pub fn stats(&self) -> Stats {
        stats(&self.shared)
    }

    /// Makes things go wrong from now on; what went wrong before is as it was.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.faults.send_replace(faults);
    }

    /// What requests with this id really found in the cache.
    #[must_use]
    pub fn truth(&self, request_id: &str) -> Vec<Truth> {
        self.shared
            .with_state(|state| state.history.find(Some(request_id)))
    }

    /// The process dies and comes back: connections are cut, the cache is empty,
    /// messages are numbered from 0.
    ///
    /// # Errors
    /// If a port of the last life stays taken.
    pub async fn restart(&self) -> Result<()> {
        restart(&self.shared).await
    }

    /// Stops it. On return its ports are free.
    pub async fn stop(mut self) {
        for task in [&mut self.server, &mut self.driver] {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for EngineSim {
    fn drop(&mut self) {
        self.server.abort();
        self.driver.abort();
    }
}

pub(crate) async fn restart(shared: &Shared) -> Result<()> {
    let (done, answer) = oneshot::channel();
    let sent = shared.commands.send(Command::Restart(done)).await;
    sent.ok().context("the engine has stopped")?;
    answer.await.context("the engine has stopped")?
}

pub(crate) fn stats(shared: &Shared) -> Stats {
    let (load, totals, sequence) =
        shared.with_state(|state| (state.load, state.totals, state.sequence));
    Stats {
        engine: shared.config.name.clone(),
        life: *shared.life.borrow(),
        running: load.running,
        waiting: load.waiting,
        kv_usage: load.kv_usage,
        prefix_queries: totals.prefix_queries,
        prefix_hits: totals.prefix_hits,
        generated_tokens: totals.generated_tokens,
        sequence,
        subscribed: *shared.subscribed.borrow(),
    }
}

fn publishing(config: &SimConfig) -> Option<PublisherConfig> {
    let address = config.topic_address.clone();
    let address = address.unwrap_or_else(|| config.listen.to_string());
    let model = config.models.first().map_or("", String::as_str);
    Some(PublisherConfig {
        events: config.events.clone()?,
        replay: config.replay,
        replay_steps: config.replay_steps,
        topic: format!("kv@{address}@{model}"),
        topic_in_replays: config.engine.generation == Generation::V0_32,
    })
}
