//! The ingestor as a role: start, readiness, drain.

use std::sync::Arc;
use std::time::Duration;

use indexer_ingest::{IngestConfig, Ingestor, StartError};
use indexer_store::EmbeddedStore;
use proto_api::ReplicaState;
use scorer_server::Replica;
use services_runtime::admin::ReadyGate;
use services_runtime::metrics::Metrics;
use tokio_util::sync::CancellationToken;

use super::parts::Gates;
use super::retire::Retirement;

/// How often readiness is looked at.
const READINESS_TICK: Duration = Duration::from_millis(100);

/// Binds the sockets and starts taking messages in.
pub(super) async fn start(
    config: IngestConfig,
    store: Arc<EmbeddedStore>,
    metrics: &Metrics,
) -> Result<Ingestor, StartError> {
    let mut registry = prometheus_client::registry::Registry::default();
    let started = Ingestor::start(config, store, &mut registry).await?;
    metrics.attach(registry);
    Ok(started)
}

/// Why the role ended before it was asked to, or without its work done.
#[derive(Debug, thiserror::Error)]
pub(super) enum IngestRoleError {
    /// The ingestor's own task is gone: the index would stand still and look whole.
    #[error("the ingestor has ended by itself; the log says where")]
    Broken,
    /// Messages were dropped at the end.
    #[error("not everything that was read could be appended within {0:?}")]
    NotDrained(Duration),
}

/// Keeps readiness up to date and forgets endpoints that are gone, until the end;
/// then drains: what was read is appended, what was appended is on disk.
pub(super) async fn run(
    ingestor: Ingestor,
    store: Arc<EmbeddedStore>,
    replica: Arc<Replica>,
    gates: Gates,
    mut retirement: Retirement,
    drain: Duration,
    stop: CancellationToken,
) -> Result<(), IngestRoleError> {
    let monitor = ingestor.monitor();
    let mut tick = tokio::time::interval(READINESS_TICK);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        if ingestor.broken() {
            gates.ingestor.not_ready("the ingestor has ended by itself");
            return Err(IngestRoleError::Broken);
        }
        set(
            &gates.ingestor,
            ingestor.ready(),
            "the store takes no batches",
        );
        let live = replica.state() == ReplicaState::Live;
        set(
            &gates.replica,
            live,
            "not following the store yet, or no longer",
        );
        retirement.look(&monitor, &replica, &store).await;
    }
    let drained = ingestor.shutdown(drain).await;
    store.close().await;
    if drained {
        Ok(())
    } else {
        Err(IngestRoleError::NotDrained(drain))
    }
}

fn set(gate: &ReadyGate, ready: bool, reason: &str) {
    if ready {
        gate.ready()
    } else {
        gate.not_ready(reason)
    }
}
