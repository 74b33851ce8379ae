//! The HTTP side: JSON for those who do not speak gRPC, and the query routes of
//! Dynamo's and Mooncake's indexers.

mod body;
mod dialect;
mod hash_number;
mod instances;
mod listing;
mod reply;
mod score;
mod standing;

pub use instances::InstanceNames;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use proto_api::{Failure, FailureKind, limits};
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::caught::CatchPanics;
use crate::scorer::Scorer;

/// What the routes share.
#[derive(Debug, Clone)]
struct Http {
    scorer: Arc<Scorer>,
    instances: Arc<InstanceNames>,
}

/// All routes but those of operations (`/metrics`, `/healthz`, `/readyz`), which
/// the process merges in.
pub fn routes(scorer: Arc<Scorer>, instances: InstanceNames) -> Router {
    // A body is read before its query can be refused, so bodies are bounded in
    // number as well as in size; beyond it they wait unread.
    let bodies = GlobalConcurrencyLimitLayer::new(scorer.limits().in_flight.saturating_mul(2));
    let catch = CatchPanics::new(scorer.metrics(), failed);
    let state = Http {
        scorer,
        instances: Arc::new(instances),
    };
    Router::new()
        .route("/v1/score", post(score::score))
        .route("/v1/endpoints", get(listing::endpoints))
        .route("/v1/stats", get(listing::stats))
        .route("/query", post(dialect::query))
        .route("/query_by_hash", post(dialect::query_by_hash))
        .route("/workers", get(dialect::workers))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(catch)
        .layer(DefaultBodyLimit::max(limits::MESSAGE_BYTES))
        .layer(bodies)
        .with_state(state)
}

/// A failure that no route answered.
pub(crate) fn failed(failure: Failure) -> Response {
    reply::failure(&failure)
}

async fn no_route(uri: Uri) -> Response {
    let path: String = uri.path().chars().take(64).collect();
    let text = format!(
        "no route {path}; there are POST /v1/score, /query, /query_by_hash and GET /v1/endpoints, \
         /v1/stats, /workers. Endpoints are not registered here: the ingestor finds them"
    );
    reply::failure(&Failure::new(FailureKind::NotFound, text))
}

/// A HEAD is answered as for a path that does not exist: there is none anywhere
/// but where there is a GET, and it has no body that could say more.
async fn no_method(method: Method, uri: Uri) -> Response {
    if method == Method::HEAD {
        return no_route(uri).await;
    }
    let path = uri.path();
    let wanted = match path {
        "/v1/score" | "/query" | "/query_by_hash" => "POST",
        _ => "GET",
    };
    let seen: String = method.as_str().chars().take(16).collect();
    reply::method_not_allowed(format!("{path} takes {wanted}, not {seen}"))
}
