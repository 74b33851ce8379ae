//! gRPC health: serving once the replica is complete, and until the end.

use std::sync::Arc;

use proto_model::Revision;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::scorer::Scorer;

/// Every name that may be asked for; the empty one is the whole server.
const NAMES: [&str; 4] = [
    "",
    "kvatlas.v1.Scorer",
    "kvatlas.v1.Index",
    "indexer.v1.IndexerService",
];

/// Reports until `stop`. Cut off from its store a scorer still serves: its
/// answers say how old they are.
pub(super) async fn report(reporter: HealthReporter, scorer: Arc<Scorer>, stop: CancellationToken) {
    say(&reporter, ServingStatus::NotServing).await;
    tokio::select! {
        () = stop.cancelled() => return,
        () = scorer.scoring().replica().reached(Revision(0)) => {}
    }
    say(&reporter, ServingStatus::Serving).await;
    stop.cancelled().await;
    say(&reporter, ServingStatus::NotServing).await;
}

async fn say(reporter: &HealthReporter, status: ServingStatus) {
    for name in NAMES {
        reporter.set_service_status(name, status).await;
    }
}
