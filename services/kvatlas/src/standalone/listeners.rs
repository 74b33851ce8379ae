//! What answers on the HTTP port.

use std::sync::Arc;

use axum::Router;
use scorer_server::{InstanceNames, Scorer};
use services_runtime::admin::{self, Readiness};
use services_runtime::metrics::Metrics;

/// Queries, metrics and health on one port.
pub(super) fn http_router(
    scorer: &Arc<Scorer>,
    instances: InstanceNames,
    metrics: Metrics,
    readiness: Readiness,
) -> Router {
    scorer_server::http_routes(Arc::clone(scorer), instances)
        .merge(admin::router(metrics, readiness))
}
