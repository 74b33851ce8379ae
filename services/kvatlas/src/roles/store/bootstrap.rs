//! The first cluster, made by itself where the configuration asks for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use indexer_store_raft::{AdminClient, AdminError, RaftOptions, RaftStore, RefusalReason};
use services_runtime::drain::Roles;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Between two attempts, while others are not there yet.
const AGAIN: Duration = Duration::from_secs(1);

/// Starts it at the lowest-numbered peer, if it has no cluster yet. Nobody makes
/// a second one: a node that is in a cluster refuses, and so does a new one while
/// any of the others is away or in a cluster.
pub(super) fn spawn(
    config: &Config,
    options: &RaftOptions,
    node: &Arc<RaftStore>,
    roles: &mut Roles,
) {
    let peers: Vec<(u64, String)> = config.store.numbered_peers().collect();
    let lowest = peers.iter().map(|(id, _)| *id).min();
    if !config.store.bootstrap || lowest != Some(options.node_id) {
        return;
    }
    let client = AdminClient::new(&options.advertise, options.tls.clone());
    let (node, stop) = (Arc::clone(node), roles.stop());
    roles.spawn("bootstrap", async move {
        stop.run_until_cancelled(make(client, &node, &peers)).await;
        wait(stop).await
    });
}

/// A role ends only when it is asked to.
async fn wait(stop: CancellationToken) -> Result<(), Infallible> {
    stop.cancelled().await;
    Ok(())
}

async fn make(client: AdminClient, node: &RaftStore, peers: &[(u64, String)]) {
    let mut said = None;
    while node.status().last_log.is_none() {
        match client.init(peers).await {
            Ok(()) => tracing::info!(?peers, "made a new store of these nodes"),
            Err(AdminError::Refused {
                reason: RefusalReason::AlreadyInitialised,
                message,
            }) => {
                tracing::warn!(message, "no new store is made");
                return;
            }
            Err(error) => {
                let error = error.to_string();
                if said.as_ref() != Some(&error) {
                    tracing::info!(error, "no store is made yet");
                    said = Some(error);
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
