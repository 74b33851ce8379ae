//! gRPC health: serving once every store is loaded, and until the end.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::scorer::Scorer;

/// Every name that may be asked for; the empty one is the whole server.
const NAMES: [&str; 5] = [
    "",
    "kvatlas.v1.Scorer",
    "kvatlas.v1.Index",
    "kvatlas.v1.Routes",
    "indexer.v1.IndexerService",
];

/// Reports until `stop`, or until callers are turned away. Cut off from a store later, a scorer still serves: its
/// answers say how old they are.
pub(super) async fn report(reporter: HealthReporter, scorer: Arc<Scorer>, stop: CancellationToken) {
    say(&reporter, ServingStatus::NotServing).await;
    tokio::select! {
        () = stop.cancelled() => return,
        () = scorer.leaving() => return,
        () = scorer.scoring().replicas().complete() => {}
    }
    say(&reporter, ServingStatus::Serving).await;
    tokio::select! {
        () = stop.cancelled() => {}
        () = scorer.leaving() => {}
    }
    say(&reporter, ServingStatus::NotServing).await;
}

async fn say(reporter: &HealthReporter, status: ServingStatus) {
    for name in NAMES {
        reporter.set_service_status(name, status).await;
    }
}
