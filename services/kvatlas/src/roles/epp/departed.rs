//! Endpoints that are gone for good: what they held is removed from the index.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto_api::v1::RemoveEndpointRequest;
use router_discovery::{Departure, Departures, PoolView};
use router_ext_proc::Scorers;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long a removal is tried. What is not removed then is forgotten by the
/// ingestors, which miss the endpoint too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who asks, and under which names.
pub(super) struct Remover {
    pub(super) scorers: Arc<Scorers>,
    pub(super) views: watch::Receiver<Arc<PoolView>>,
    pub(super) cluster: Option<String>,
}

impl Remover {
    /// Removes who departs, one after the other, until `stop`.
    pub(super) async fn run(self, mut departures: Departures, stop: CancellationToken) {
        let work = async {
            while let Some(gone) = departures.next().await {
                self.remove(&gone).await;
            }
            // The source has ended: nobody departs any more.
            std::future::pending::<()>().await;
        };
        let _ = stop.run_until_cancelled(work).await;
    }

    async fn remove(&self, gone: &Departure) {
        let others = {
            let view = self.views.borrow();
            let here = |address: SocketAddr| address.ip() == gone.address.ip();
            view.endpoints.iter().any(|endpoint| here(endpoint.address))
        };
        let mut names = vec![gone.address.to_string()];
        // Engines often announce themselves without a port, all ranks as one.
        if !others {
            names.push(gone.address.ip().to_string());
        }
        for address in names {
            let request = RemoveEndpointRequest {
                cluster: self.cluster.clone().unwrap_or_default(),
                address: address.clone(),
                rank: None,
            };
            let deadline = Instant::now() + PATIENCE;
            match self.scorers.remove_endpoint(request, deadline).await {
                Ok(()) => tracing::info!(
                    endpoint = address,
                    name = gone.name,
                    "removed from the index"
                ),
                Err(error) => {
                    tracing::warn!(endpoint = address, name = gone.name, %error, "not removed from the index");
                }
            }
        }
    }
}
