//! Health checks: what probes and gateways ask for by name.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// The process answers.
const LIVENESS: &str = "liveness";

/// Requests can be routed. The last is asked for by manifests in use.
const READINESS: [&str; 4] = [
    "",
    "readiness",
    "envoy.service.ext_proc.v3.ExternalProcessor",
    "inference-extension",
];

pub(super) struct Health {
    reporter: HealthReporter,
}

impl Health {
    /// Alive, and not ready yet.
    pub(super) async fn new() -> Self {
        let health = Self {
            reporter: HealthReporter::new(),
        };
        health
            .reporter
            .set_service_status(LIVENESS, ServingStatus::Serving)
            .await;
        health.ready(false).await;
        health
    }

    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    /// Passes readiness on until the shutdown begins; from then on, not ready.
    /// Never ends.
    pub(super) async fn follow(
        &self,
        mut readiness: watch::Receiver<bool>,
        shutdown: CancellationToken,
    ) {
        while !shutdown.is_cancelled() {
            let ready = *readiness.borrow_and_update();
            self.ready(ready).await;
            tokio::select! {
                () = shutdown.cancelled() => {}
                changed = readiness.changed() => if changed.is_err() {
                    shutdown.cancelled().await;
                },
            }
        }
        self.ready(false).await;
        std::future::pending().await
    }

    async fn ready(&self, ready: bool) {
        let status = if ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for service in READINESS {
            self.reporter.set_service_status(service, status).await;
        }
    }
}
