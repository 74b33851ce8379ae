//! A node of the replicated store as a role.
//!
//! ```text
//!  :7400 gRPC  ◀─ ingestors, scorers (the store's seams)
//!              ◀─ other nodes (Raft), operators (membership)
//!  :7401 HTTP  ◀─ metrics, probes
//! ```

mod bootstrap;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::response::Json;
use axum::routing::get;
use axum::{Router, extract};
use indexer_store_grpc::{StoreLimits, StoreService};
use indexer_store_raft::{NodeStatus, RaftOptions, RaftStore};
use services_runtime::admin::{self, Readiness, ReadyGate};
use services_runtime::drain::Roles;
use services_runtime::metrics::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::ServerTlsConfig;
use tonic::transport::server::TcpIncoming;

use super::process::BUILD;
use super::{Lifetime, Up, local_address};
use crate::cli::NodeArgs;
use crate::config::{self, Config, Role};
use crate::wiring::stores;

/// How often readiness is looked at.
const READINESS_TICK: Duration = Duration::from_millis(100);
/// What is still open so long after the end is closed.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// Why a node ended before it was asked to.
#[derive(Debug, thiserror::Error)]
enum NodeError {
    /// Its disk failed, or Raft found something that must not be.
    #[error("the node cannot go on: {0}")]
    Failed(String),
    /// The listener broke down.
    #[error("gRPC server failed")]
    Transport(#[from] tonic::transport::Error),
}

/// `kvatlas store`: runs until a signal or a failure.
pub(crate) async fn run(args: NodeArgs) -> Result<std::process::ExitCode> {
    let config = config::load(&args.source, args.settings()?, Some(Role::Store))?;
    super::run(config, |config, draining| async move {
        Box::pin(start(&config, draining)).await
    })
    .await
}

async fn start(config: &Config, draining: CancellationToken) -> Result<Up> {
    let life = Lifetime::new(draining);
    let metrics = Metrics::new(BUILD);
    let readiness = Readiness::until(&life.draining);
    let gate = readiness.gate("node");
    let (options, tls) = (
        stores::raft(config)?,
        stores::server_tls(&config.store.tls)?,
    );
    let grpc = config.store.listen.bind().await?;
    let http = config.store.http.bind().await?;
    let urls = (
        local_address(&grpc, "gRPC")?,
        format!("http://{}", local_address(&http, "HTTP")?),
    );
    let mut roles = Roles::new(life.stop.clone());
    let node = open(&options).await?;
    let service = StoreService::new(
        Arc::clone(&node) as _,
        Arc::clone(&node) as _,
        StoreLimits::default(),
    );
    metrics.register(|registry| {
        node.register(registry);
        service.register(registry);
    });
    let router = admin::router(metrics, readiness).merge(status_route(&node));
    let stop = life.stop.clone();
    roles.spawn(
        "HTTP",
        services_runtime::http::serve(http, router, Default::default(), stop.clone()),
    );
    roles.spawn("readiness", keep(gate, Arc::clone(&node), stop.clone()));
    roles.spawn(
        "gRPC",
        serve(grpc, Arc::clone(&node), service.clone(), tls, stop.clone()),
    );
    roles.spawn("node", follow(Arc::clone(&node), stop));
    bootstrap::spawn(config, &options, &node, &mut roles);
    let limit = config.drain_timeout.duration() / 2;
    life.spawn_between(async move {
        node.drain(limit).await;
        service.drain();
    });
    tracing::info!(
        grpc = urls.0,
        http = urls.1,
        node = options.node_id,
        "store is up"
    );
    Ok(Up { roles })
}

async fn open(options: &RaftOptions) -> Result<Arc<RaftStore>> {
    let opened = Box::pin(RaftStore::start(options.clone())).await;
    opened.with_context(|| format!("store.data {}", options.data.display()))
}

/// `GET /v1/store`: the node as it sees itself, and where the leader is.
fn status_route(node: &Arc<RaftStore>) -> Router {
    #[derive(serde::Serialize)]
    struct Said {
        leader: Option<String>,
        node: NodeStatus,
    }
    let say = |extract::State(node): extract::State<Arc<RaftStore>>| async move {
        Json(Said {
            leader: node.leader(),
            node: node.status(),
        })
    };
    Router::new()
        .route("/v1/store", get(say))
        .with_state(Arc::clone(node))
}

/// Serves nodes, operators, ingestors and scorers until the end.
async fn serve(
    listener: TcpListener,
    node: Arc<RaftStore>,
    service: StoreService,
    tls: Option<ServerTlsConfig>,
    stop: CancellationToken,
) -> Result<(), NodeError> {
    let mut server = indexer_store_raft::server();
    if let Some(tls) = tls {
        server = server.tls_config(tls)?;
    }
    let routes = node.services().add_service(service);
    // The builder's own switch does not reach a listener that is handed in.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let served = server
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        served = served => Ok(served?),
        () = late => Ok(()),
    }
}

/// Ends the node with the process, or the process with the node.
async fn follow(node: Arc<RaftStore>, stop: CancellationToken) -> Result<(), NodeError> {
    tokio::select! {
        reason = node.failed() => return Err(NodeError::Failed(reason)),
        () = stop.cancelled() => {}
    }
    node.shutdown().await;
    Ok(())
}

/// Ready is who has everything that the cluster has, and knows its leader. Says
/// when that is another one.
async fn keep(
    gate: ReadyGate,
    node: Arc<RaftStore>,
    stop: CancellationToken,
) -> Result<(), std::convert::Infallible> {
    let mut tick = tokio::time::interval(READINESS_TICK);
    let mut known = None;
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let leader = node.leader();
        if leader != known {
            match &leader {
                Some(leader) => tracing::info!(leader, own = node.leads(), "has a leader"),
                None => tracing::warn!("has no leader"),
            }
        }
        match node.unready() {
            Some(reason) => gate.not_ready(reason),
            None if leader.is_none() => gate.not_ready("no leader is known"),
            None => gate.ready(),
        }
        known = leader;
    }
    Ok(())
}
