//! What operators may ask of the ingestor and tell the store, over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::{delete, get};
use indexer_ingest::{Monitor, PublisherView};
use indexer_store::IndexWriter;
use proto_model::{Endpoint, Rank};
use serde::Deserialize;

use super::removal;
use crate::doctor::{IngestReport, ReportedFinding, ReportedPublisher};

/// `GET /v1/ingest`, and `DELETE /v1/endpoints?endpoint=CLUSTER/ADDRESS[&rank=N]`.
pub(super) fn router(monitor: Monitor, store: Arc<dyn IndexWriter>) -> Router {
    let remove = Router::new()
        .route("/v1/endpoints", delete(remove))
        .with_state((monitor.clone(), store));
    let report = Router::new()
        .route("/v1/ingest", get(report))
        .with_state(monitor);
    report.merge(remove)
}

async fn report(State(monitor): State<Monitor>) -> Json<IngestReport> {
    let findings = monitor
        .findings()
        .list()
        .into_iter()
        .map(|finding| ReportedFinding {
            kind: finding.kind.as_str().to_owned(),
            subject: finding.subject,
            seen: finding.seen,
            expected: finding.expected,
            advice: finding.advice,
            count: finding.count,
        });
    let publishers = monitor.publishers().await;
    Json(IngestReport {
        findings: findings.collect(),
        publishers: publishers.iter().map(reported).collect(),
    })
}

fn reported(view: &PublisherView) -> ReportedPublisher {
    ReportedPublisher {
        publisher: view.publisher.to_string(),
        connections: view.connections,
        replaying: view.replaying,
        replayable: view.replayable,
        restarts: view.restarts,
        lag: view.lag(),
    }
}

/// Which endpoint is to be forgotten.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Removal {
    endpoint: String,
    rank: Option<u32>,
}

async fn remove(
    State((monitor, store)): State<(Monitor, Arc<dyn IndexWriter>)>,
    Query(removal): Query<Removal>,
) -> Result<StatusCode, (StatusCode, String)> {
    let endpoint: Endpoint = removal
        .endpoint
        .parse()
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("endpoint: {error}\n")))?;
    let rank = removal.rank.map(Rank);
    removal::remove(endpoint, rank, &monitor, store.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT)
}
