//! Starting, watching and stopping an ingestor.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indexer_store::IndexWriter;
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::check::Probe;
use crate::config::{ConfigError, IngestConfig};
use crate::driver::{Driver, Health, Inputs, Parts, Query};
use crate::findings::Findings;
use crate::metrics::Metrics;
use crate::models::{Models, hash_rules};
use crate::replay::{OPEN_PER_SLOT, REPLAY_QUEUE, Replayer, Turns};
use crate::sockets::{self, Intake, SocketContext};
use crate::source::Source;
use crate::translate::Shared;
use crate::view::PublisherView;
use crate::zmtp::{Budget, Limits};
use crate::{AddressError, TcpAddress};

/// Questions that may wait for the driver.
const QUERIES: usize = 16;

/// Why an ingestor did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has mistakes.
    #[error("configuration has {} mistakes, the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Config(Vec<ConfigError>),
    /// A socket could not be bound.
    #[error("cannot bind {address}; is the port taken by another process?")]
    Bind {
        /// The address.
        address: TcpAddress,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// What an ingestor can be asked while it runs. Clones ask the same one.
#[derive(Debug, Clone)]
pub struct Monitor {
    findings: Findings,
    queries: mpsc::Sender<Query>,
}

impl Monitor {
    /// What is wrong with publishers.
    #[must_use]
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// All publishers heard of, in order; none once the ingestor has ended.
    pub async fn publishers(&self) -> Vec<PublisherView> {
        let (answer, views) = oneshot::channel();
        if self.queries.send(answer).await.is_err() {
            return Vec::new();
        }
        views.await.unwrap_or_default()
    }
}

/// A running ingestor. Dropping it stops it without draining; see
/// [`Ingestor::shutdown`].
#[derive(Debug)]
pub struct Ingestor {
    bound: Vec<SocketAddr>,
    findings: Findings,
    health: Arc<Health>,
    queries: mpsc::Sender<Query>,
    stop: CancellationToken,
    driver: JoinHandle<()>,
    tasks: TaskTracker,
}

impl Ingestor {
    /// Binds all sockets, then starts taking messages in. Engines that cannot be
    /// reached yet are tried again and again; that is no error.
    pub async fn start(
        config: IngestConfig,
        writer: Arc<dyn IndexWriter>,
        registry: &mut Registry,
    ) -> Result<Self, StartError> {
        config.validate().map_err(StartError::Config)?;
        let metrics = Metrics::register(registry);
        let findings = Findings::new(config.bounds.findings.get());
        let (intake, inbound) = sockets::intake(&config.bounds, &metrics);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let config = Arc::new(config);
        let context = socket_context(&config, intake, &metrics, &findings, &stop);
        let bound = listen(&config, &context, &tasks).await?;
        dial(&config, &context, &tasks)?;
        let (news, replayed) = mpsc::channel(REPLAY_QUEUE);
        let (queries, asked) = mpsc::channel(QUERIES);
        let health = Arc::new(Health::default());
        let driver = Driver::new(Parts {
            writer,
            shared: Shared {
                findings: findings.clone(),
                metrics,
                first_blocks: Arc::default(),
                probe: Arc::new(Probe::new(hash_rules(&config.models))),
            },
            models: Models::new(&config.models),
            replayer: replayer(&config, news),
            health: Arc::clone(&health),
            stop: stop.clone(),
            tasks: tasks.clone(),
            config,
        });
        let driver = tokio::spawn(driver.run(Inputs {
            inbound,
            replayed,
            queries: asked,
        }));
        Ok(Self {
            bound,
            findings,
            health,
            queries,
            stop,
            driver,
            tasks,
        })
    }

    /// The addresses of the bound sockets, in the order of the configuration
    /// and its ranks; with real ports where 0 was asked for.
    #[must_use]
    pub fn bound_addresses(&self) -> &[SocketAddr] {
        &self.bound
    }

    /// Whether messages are taken in and the store takes batches.
    #[must_use]
    pub fn ready(&self) -> bool {
        !self.driver.is_finished()
            && !self.stop.is_cancelled()
            && !self.health.closed.load(Ordering::Relaxed)
            && !self.health.retrying.load(Ordering::Relaxed)
    }

    /// A handle for questions.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        Monitor {
            findings: self.findings.clone(),
            queries: self.queries.clone(),
        }
    }

    /// What is wrong with publishers.
    #[must_use]
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// All publishers heard of, in order.
    pub async fn publishers(&self) -> Vec<PublisherView> {
        self.monitor().publishers().await
    }

    /// Whether it has ended by itself, which it never should: nothing is taken in
    /// any more, and whoever runs it must say so.
    #[must_use]
    pub fn broken(&self) -> bool {
        self.driver.is_finished() && !self.stop.is_cancelled()
    }

    /// Stops reading, appends what has been read, and ends. What is not
    /// appended within `limit` is dropped: the engines' replay still has it.
    /// Returns whether everything was appended.
    pub async fn shutdown(mut self, limit: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout(limit, &mut self.driver).await;
        self.driver.abort();
        // A driver that panicked has drained nothing.
        matches!(ended, Ok(Ok(()))) && !self.health.closed.load(Ordering::Relaxed)
    }
}

impl Drop for Ingestor {
    fn drop(&mut self) {
        self.stop.cancel();
        self.driver.abort();
    }
}

fn socket_context(
    config: &IngestConfig,
    intake: Intake,
    metrics: &Metrics,
    findings: &Findings,
    stop: &CancellationToken,
) -> Arc<SocketContext> {
    let message_bytes = config.bounds.message_bytes.get();
    Arc::new(SocketContext {
        intake,
        metrics: metrics.clone(),
        findings: findings.clone(),
        events: indexer_events::Limits {
            payload_bytes: message_bytes,
            ..Default::default()
        },
        checked: checked(config),
        message_bytes,
        receiving: Budget::new(config.bounds.queue_bytes.get()),
        stop: stop.clone(),
        connections: AtomicU64::new(0),
    })
}

/// Whether any model's hashes are checked.
fn checked(config: &IngestConfig) -> bool {
    config.models.iter().any(|model| model.hash.is_some())
}

fn replayer(config: &IngestConfig, news: mpsc::Sender<crate::replay::Replayed>) -> Replayer {
    let message_bytes = config.bounds.message_bytes.get();
    let slots = config.replay.parallel.get().min(Semaphore::MAX_PERMITS);
    let open = slots.saturating_mul(OPEN_PER_SLOT);
    Replayer {
        turns: Turns::default(),
        open: Arc::new(Semaphore::new(open.min(Semaphore::MAX_PERMITS))),
        slots: Arc::new(Semaphore::new(slots)),
        receiving: Budget::new(config.bounds.queue_bytes.get()),
        queue: Budget::new(config.bounds.queue_bytes.get()),
        limits: Limits {
            message_bytes,
            frames: sockets::FRAMES,
        },
        events: indexer_events::Limits {
            payload_bytes: message_bytes,
            ..Default::default()
        },
        checked: checked(config),
        timeout: config.replay.timeout,
        backoff: config.backoff.clone(),
        news,
    }
}

async fn listen(
    config: &IngestConfig,
    context: &Arc<SocketContext>,
    tasks: &TaskTracker,
) -> Result<Vec<SocketAddr>, StartError> {
    let mut bound = Vec::new();
    for bind in &config.bind {
        let prefix: Arc<str> = bind.topic_prefix.as_str().into();
        for rank in 0..bind.ranks.get() {
            let address = bind.address.for_rank(rank).map_err(config_error)?;
            let failed = |source| StartError::Bind {
                address: address.clone(),
                source,
            };
            let listener = sockets::bind(&address).await.map_err(failed)?;
            bound.push(listener.local_addr().map_err(failed)?);
            let source = Source::bound(bind, &config.cluster, rank).map_err(endpoint_error)?;
            let limit = config.bounds.connections.get();
            let (context, prefix) = (Arc::clone(context), Arc::clone(&prefix));
            let source = Arc::new(source);
            tasks.spawn(sockets::serve(
                context,
                listener,
                source,
                prefix,
                limit,
                tasks.clone(),
            ));
        }
    }
    Ok(bound)
}

fn dial(
    config: &IngestConfig,
    context: &Arc<SocketContext>,
    tasks: &TaskTracker,
) -> Result<(), StartError> {
    for connect in &config.connect {
        for rank in 0..connect.ranks.get() {
            let address = connect.address.for_rank(rank).map_err(config_error)?;
            let replay = connect.replay.as_ref().map(|replay| replay.for_rank(rank));
            let replay = replay.transpose().map_err(config_error)?;
            let source = Source::connected(connect, &config.cluster, rank, replay);
            let source = Arc::new(source.map_err(endpoint_error)?);
            let prefix = connect.topic_prefix.clone();
            let backoff = config.backoff.clone();
            let context = Arc::clone(context);
            tasks.spawn(sockets::keep_connected(
                context, address, source, prefix, backoff,
            ));
        }
    }
    Ok(())
}

fn config_error(problem: AddressError) -> StartError {
    StartError::Config(vec![ConfigError::Address {
        field: "address".to_owned(),
        problem,
    }])
}

fn endpoint_error(problem: proto_model::EndpointError) -> StartError {
    StartError::Config(vec![ConfigError::Endpoint {
        field: "identity".to_owned(),
        problem,
    }])
}

#[cfg(test)]
mod tests {
    use indexer_store::{EmbeddedOptions, EmbeddedStore};

    use super::*;
    use crate::BindConfig;

    #[tokio::test]
    async fn a_dead_driver_is_seen_and_has_drained_nothing() {
        let address = "tcp://127.0.0.1:0".parse().expect("an address");
        let config = IngestConfig {
            bind: vec![BindConfig::new(address)],
            ..IngestConfig::default()
        };
        let store = Arc::new(EmbeddedStore::in_memory(EmbeddedOptions::default()));
        let started = Ingestor::start(config, store, &mut Registry::default()).await;
        let ingestor = started.expect("starts");
        assert!(ingestor.ready() && !ingestor.broken());
        ingestor.driver.abort();
        while !ingestor.driver.is_finished() {
            tokio::task::yield_now().await;
        }
        assert!(ingestor.broken() && !ingestor.ready());
        assert!(ingestor.publishers().await.is_empty());
        assert!(!ingestor.shutdown(Duration::from_secs(60)).await);
    }
}
