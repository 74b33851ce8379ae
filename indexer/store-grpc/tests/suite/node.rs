//! A node: a store behind the service, on a port of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use indexer_store::{EmbeddedOptions, EmbeddedStore, HistoryOptions, IndexWatch, IndexWriter};
use indexer_store_grpc::{RemoteOptions, RemoteStore, StoreLimits, StoreService};
use prometheus_client::registry::Registry;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// After this a test is taken to hang. Never waited for when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Ends with its last connection when it is dropped.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) service: StoreService,
    registry: Registry,
    serving: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Node {
    pub(crate) async fn start(
        writer: &Arc<impl IndexWriter>,
        watch: &Arc<impl IndexWatch>,
        limits: StoreLimits,
    ) -> Self {
        let writer: Arc<dyn IndexWriter> = Arc::clone(writer) as _;
        let watch: Arc<dyn IndexWatch> = Arc::clone(watch) as _;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let service = StoreService::new(writer, watch, limits);
        let mut registry = Registry::default();
        service.register(&mut registry);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let serving = Server::builder()
            .add_service(service.clone())
            .serve_with_incoming(incoming);
        let serving = tokio::spawn(async move {
            serving.await.expect("serves until it is aborted");
        });
        Self {
            address,
            service,
            registry,
            serving,
        }
    }

    pub(crate) async fn of(store: &Arc<EmbeddedStore>) -> Self {
        Self::start(store, store, StoreLimits::default()).await
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// The value of a metric, by its whole name with labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        metric(&self.registry, name)
    }
}

pub(crate) fn metric(registry: &Registry, name: &str) -> f64 {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).expect("encodes");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or("0").trim();
    value.parse().expect("a number after the name")
}

/// A store in memory whose watches say often that they live.
pub(crate) fn embedded() -> Arc<EmbeddedStore> {
    let options = EmbeddedOptions {
        history: quick(),
        ..Default::default()
    };
    Arc::new(EmbeddedStore::in_memory(options))
}

pub(crate) fn quick() -> HistoryOptions {
    HistoryOptions {
        heartbeat: Duration::from_millis(50),
        ..Default::default()
    }
}

pub(crate) fn remote(addresses: &[String]) -> RemoteStore {
    RemoteStore::connect(RemoteOptions::new(addresses.to_vec())).expect("valid options")
}

/// An address where nobody listens: its port is held, but not listened on.
pub(crate) fn dead() -> (std::net::UdpSocket, String) {
    // A free TCP port is found by binding and letting go; that it stays free for
    // the test is likely, and a test is no worse if somebody else refuses it.
    let held = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = held.local_addr().expect("bound").to_string();
    (held, address)
}
