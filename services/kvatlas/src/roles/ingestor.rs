//! The ingestor as a role: start, readiness, upkeep, drain.

mod removal;
mod retire;
mod routes;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use indexer_ingest::{IngestConfig, Ingestor};
use indexer_store::IndexWriter;
use scorer_server::Replica;
use services_runtime::admin::{self, Readiness, ReadyGate};
use services_runtime::drain::Roles;
use services_runtime::metrics::Metrics;
use tokio_util::sync::CancellationToken;

use self::retire::{Census, Retirement};
use super::backend::OpenStore;
use super::process::BUILD;
use super::reach::Reach;
use super::{Up, dialled, local_address};
use crate::cli::IngestorArgs;
use crate::config::{self, Config, Role};
use crate::wiring;

/// How often readiness is looked at.
const READINESS_TICK: Duration = Duration::from_millis(100);
/// How often publishers that are gone, and a quiet store, are looked for.
const UPKEEP_TICK: Duration = Duration::from_secs(1);
/// A store that has not been heard for so long is asked.
const QUIET: Duration = Duration::from_secs(5);

/// Why the role ended before it was asked to, or without its work done.
#[derive(Debug, thiserror::Error)]
enum IngestorError {
    /// The ingestor's own task is gone: the index would stand still and look whole.
    #[error("the ingestor has ended by itself; the log says where")]
    Broken,
    /// Messages were dropped at the end.
    #[error("not everything that was read could be appended within {0:?}")]
    NotDrained(Duration),
}

/// `kvatlas ingestor`: runs until a signal or a failure.
pub(crate) async fn run(args: IngestorArgs) -> Result<std::process::ExitCode> {
    let config = config::load(&args.source, args.settings()?, Some(Role::Ingestor))?;
    super::run(config, |config, draining| async move {
        start(&config, draining).await
    })
    .await
}

async fn start(config: &Config, stop: CancellationToken) -> Result<Up> {
    let ingest = wiring::ingest(config)?;
    let metrics = Metrics::new(BUILD);
    let readiness = Readiness::until(&stop);
    let gate = readiness.gate("ingestor");
    let http = config.ingest.http.bind().await?;
    let http_url = format!("http://{}", local_address(&http, "HTTP")?);
    let store = OpenStore::remote(&config.store.source(), &metrics).await?;
    let role = IngestorRole::start(ingest, store, None, &metrics, gate).await?;
    let events = role.events();
    let mut roles = Roles::new(stop.clone());
    let router = admin::router(metrics, readiness).merge(role.routes());
    roles.spawn(
        "HTTP",
        services_runtime::http::serve(http, router, Default::default(), stop),
    );
    role.spawn(config, &mut roles);
    tracing::info!(events, http = http_url, "ingestor is up");
    Ok(Up { roles })
}

/// A started ingestor with what belongs to it.
pub(crate) struct IngestorRole {
    ingestor: Ingestor,
    store: OpenStore,
    reach: Arc<Reach>,
    census: Census,
    gate: ReadyGate,
}

impl IngestorRole {
    /// Binds the sockets and starts taking messages in. With a replica of a store
    /// that nobody else writes to, everybody whom it knows and who has no
    /// connection counts as gone in time; otherwise only who was heard here.
    pub(crate) async fn start(
        config: IngestConfig,
        store: OpenStore,
        replica: Option<Arc<Replica>>,
        metrics: &Metrics,
        gate: ReadyGate,
    ) -> Result<Self> {
        let reach = Reach::new(Arc::clone(&store.writer), store.is_own());
        let mut registry = prometheus_client::registry::Registry::default();
        let ingestor = Ingestor::start(config, Arc::clone(&reach) as _, &mut registry)
            .await
            .context("ingestor")?;
        metrics.attach(registry);
        Ok(Self {
            ingestor,
            store,
            reach,
            census: replica.map_or(Census::Heard, Census::Replica),
            gate,
        })
    }

    /// Where engines connect, as `tcp://ip:port`; empty if nothing is bound.
    pub(crate) fn events(&self) -> String {
        let first = self.ingestor.bound_addresses().first();
        first.map_or_else(String::new, |address| {
            format!("tcp://{}", dialled(*address))
        })
    }

    /// What operators may ask and tell.
    pub(crate) fn routes(&self) -> Router {
        routes::router(self.ingestor.monitor(), Arc::clone(&self.reach) as _)
    }

    /// Runs. It ends first, then the store, so that what was read is appended and
    /// what was appended is where it belongs.
    pub(crate) fn spawn(self, config: &Config, roles: &mut Roles) {
        let stop = roles.stop();
        let retirement = Retirement::new(config.ingest.forget_after.duration(), self.census);
        roles.spawn(
            "ingestor's upkeep",
            upkeep(
                self.ingestor.monitor(),
                Arc::clone(&self.reach),
                !self.store.is_own(),
                retirement,
                stop.clone(),
            ),
        );
        let drain = config.drain_timeout.duration();
        roles.spawn(
            "ingestor",
            ingest(
                self.ingestor,
                self.store,
                self.reach,
                self.gate,
                drain,
                stop,
            ),
        );
    }
}

/// Keeps readiness up to date until the end; then drains.
async fn ingest(
    ingestor: Ingestor,
    store: OpenStore,
    reach: Arc<Reach>,
    gate: ReadyGate,
    drain: Duration,
    stop: CancellationToken,
) -> Result<(), IngestorError> {
    let mut tick = tokio::time::interval(READINESS_TICK);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        if ingestor.broken() {
            gate.not_ready("the ingestor has ended by itself");
            return Err(IngestorError::Broken);
        }
        match reach.awaited() {
            Some(reason) => gate.not_ready(reason),
            None if !ingestor.ready() => gate.not_ready("the store takes no batches"),
            None => gate.ready(),
        }
    }
    let drained = ingestor.shutdown(drain).await;
    store.close().await;
    if drained {
        Ok(())
    } else {
        Err(IngestorError::NotDrained(drain))
    }
}

/// Asks a quiet store whether it is there, and forgets who is gone. Both may wait
/// for the store; readiness does not.
async fn upkeep(
    monitor: indexer_ingest::Monitor,
    reach: Arc<Reach>,
    probed: bool,
    mut retirement: Retirement,
    stop: CancellationToken,
) -> Result<(), std::convert::Infallible> {
    let mut tick = tokio::time::interval(UPKEEP_TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let work = async {
        loop {
            tick.tick().await;
            if probed {
                reach.probe(QUIET).await;
            }
            retirement
                .look(&monitor, reach.as_ref() as &dyn IndexWriter)
                .await;
        }
    };
    let ended: Option<std::convert::Infallible> = stop.run_until_cancelled(work).await;
    match ended {
        Some(never) => match never {},
        None => Ok(()),
    }
}
