//! The listener for operators and probes: `/healthz`, `/readyz`, `/metrics`.
//!
//! A role with an HTTP port of its own merges [`router`] into it; any other
//! role gives [`router`] a port through [`crate::http::serve`].

mod readiness;

pub use readiness::{NotReady, Readiness, ReadinessReport, ReadyGate};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;

use crate::metrics::{CONTENT_TYPE, Metrics};

/// The three routes. Merge it, or serve it as it is.
pub fn router(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(encode_metrics).with_state(metrics))
}

/// Alive: this process answers. Nothing else may decide a restart.
async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 if nothing is awaited, otherwise 503 and what is.
async fn readyz(State(readiness): State<Readiness>) -> Response {
    let report = readiness.report();
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report)).into_response()
}

async fn encode_metrics(State(metrics): State<Metrics>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
