//! Asks the API server whether endpoints that left the pool still are somewhere.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::departures::Departure;
use crate::manifest::{Readiness, pod_address};

/// Pods that are asked for at the same time.
pub(super) const CHECKS: usize = 8;
/// Time for the API server to say whether a pod is there.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// What the API server says of an endpoint that is not in the pool any more.
pub(super) enum Verdict {
    /// Its pod is gone, or has another address.
    Gone,
    /// Its pod is there: it left the pool, or the pool is gone, and it keeps its
    /// cache.
    Elsewhere,
    /// The API server did not say.
    Unknown,
}

/// Endpoints that are being asked for.
#[derive(Default)]
pub(super) struct Checks {
    tasks: JoinSet<(Departure, Verdict)>,
    addresses: BTreeSet<SocketAddr>,
}

impl Checks {
    /// Asks for an endpoint, unless that is under way or there are too many.
    pub(super) fn ask(&mut self, pods: &Api<Pod>, gone: Departure) {
        if self.addresses.len() < CHECKS && self.addresses.insert(gone.address) {
            let pods = pods.clone();
            self.tasks.spawn(async move {
                let verdict = check(&pods, &gone).await;
                (gone, verdict)
            });
        }
    }

    /// The next verdict; waits for ever while nothing is asked.
    pub(super) async fn next(&mut self) -> (Departure, Verdict) {
        loop {
            match self.tasks.join_next().await {
                Some(Ok((gone, verdict))) => {
                    self.addresses.remove(&gone.address);
                    return (gone, verdict);
                }
                Some(Err(error)) => tracing::error!(%error, "asking for a pod failed"),
                None => std::future::pending().await,
            }
        }
    }
}

async fn check(pods: &Api<Pod>, gone: &Departure) -> Verdict {
    let name = gone.name.rsplit('/').next().unwrap_or_default();
    match timeout(CHECK_TIMEOUT, pods.get_opt(name)).await {
        Ok(Ok(None)) => Verdict::Gone,
        Ok(Ok(Some(pod))) => {
            let seen = pod_address(&pod, Readiness::Told);
            if seen.ip == Some(gone.address.ip()) {
                Verdict::Elsewhere
            } else {
                Verdict::Gone
            }
        }
        Ok(Err(error)) => {
            tracing::debug!(name, %error, "cannot ask whether the pod is there");
            Verdict::Unknown
        }
        Err(_) => Verdict::Unknown,
    }
}
