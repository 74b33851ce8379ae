//! The ingestor as a role: start, readiness, report, drain.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::extract::State;
use axum::response::Json;
use axum::routing::get;
use indexer_ingest::{Findings, IngestConfig, Ingestor, StartError};
use indexer_store::EmbeddedStore;
use proto_api::ReplicaState;
use scorer_server::Replica;
use services_runtime::metrics::Metrics;
use tokio_util::sync::CancellationToken;

use super::parts::Gates;
use crate::doctor::{IngestReport, ReportedFinding};

/// How often readiness is looked at.
const READINESS_TICK: Duration = Duration::from_millis(100);

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

/// Keeps readiness up to date until the end, then drains: what was read is
/// appended, what was appended is on disk.
pub(super) async fn run(
    ingestor: Ingestor,
    store: Arc<EmbeddedStore>,
    replica: Arc<Replica>,
    gates: Gates,
    drain: Duration,
    stop: CancellationToken,
) -> Result<(), DrainError> {
    let mut tick = tokio::time::interval(READINESS_TICK);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
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
    }
    let drained = ingestor.shutdown(drain).await;
    store.close().await;
    if drained {
        Ok(())
    } else {
        Err(DrainError { drain })
    }
}

fn set(gate: &services_runtime::admin::ReadyGate, ready: bool, reason: &str) {
    if ready {
        gate.ready()
    } else {
        gate.not_ready(reason)
    }
}

/// Messages were dropped at the end.
#[derive(Debug, thiserror::Error)]
#[error("not everything that was read could be appended within {drain:?}")]
pub(super) struct DrainError {
    drain: Duration,
}

/// `GET /v1/ingest`: what the ingestor found.
pub(super) fn router(ingestor: &Ingestor) -> axum::Router {
    axum::Router::new()
        .route("/v1/ingest", get(report))
        .with_state(ingestor.findings().clone())
}

async fn report(State(findings): State<Findings>) -> Json<IngestReport> {
    let findings = findings.list().into_iter().map(|finding| ReportedFinding {
        kind: finding.kind.as_str().to_owned(),
        subject: finding.subject,
        seen: finding.seen,
        expected: finding.expected,
        advice: finding.advice,
        count: finding.count,
    });
    Json(IngestReport {
        findings: findings.collect(),
    })
}
