//! Clusters of nodes in this process, each with a runtime of its own, so that it
//! can be stopped as a kill would.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use indexer_store::{AppendError, Appended, IndexWatch, IndexWriter, WatchItem, WatchStream};
use indexer_store_raft::{AdminClient, NodeId, RaftOptions, RaftStore, server};
use proto_api::v1::store_raft_client::StoreRaftClient;
use proto_api::v1::{RaftCall, RaftHeader};
use proto_model::{Batch, Revision};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;

use crate::net::Net;

/// After this something is taken to hang. Never waited for when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What a test wants different.
pub(crate) type Change = fn(&mut RaftOptions);

/// A node that runs.
pub(crate) struct TestNode {
    pub(crate) id: NodeId,
    pub(crate) address: String,
    pub(crate) store: Arc<RaftStore>,
    runtime: Option<Runtime>,
}

impl Drop for TestNode {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl TestNode {
    /// Starts a node in `data`. Its proxy, if there is a net, listens at `outside`.
    pub(crate) async fn start(
        id: NodeId,
        data: &Path,
        outside: TcpListener,
        net: Option<Net>,
        change: Change,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let address = outside.local_addr().expect("bound").to_string();
        let mut options = options(id, &address, data);
        change(&mut options);
        if net.is_some() {
            options.local_address = Some(Net::address_of(id));
        }
        let started = runtime.spawn(Box::pin(async move {
            let store = RaftStore::start(options).await.expect("the node starts");
            let listener = match net {
                None => outside,
                Some(net) => {
                    let inside = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                    let at = inside.local_addr().expect("bound");
                    tokio::spawn(net.carry(id, outside, at));
                    inside
                }
            };
            let incoming = TcpListenerStream::new(listener);
            let routes = store.services();
            tokio::spawn(server().add_routes(routes).serve_with_incoming(incoming));
            store
        }));
        let store = started.await.expect("the node starts");
        Self {
            id,
            address,
            store,
            runtime: Some(runtime),
        }
    }

    pub(crate) fn admin(&self) -> AdminClient {
        AdminClient::new(&self.address, None)
    }
}

/// Short timeouts, but long enough for a busy machine.
fn options(id: NodeId, address: &str, data: &Path) -> RaftOptions {
    let mut options = RaftOptions::new(id, address, data);
    options.elections.heartbeat = Duration::from_millis(150);
    options.elections.timeout_min = Duration::from_millis(600);
    options.elections.timeout_max = Duration::from_millis(1200);
    options.watches.contact_max = Duration::from_secs(3);
    options.history.heartbeat = Duration::from_millis(50);
    options
}

/// A cluster.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<TestNode>,
    pub(crate) net: Option<Net>,
    directories: TempDir,
    change: Change,
}

impl Cluster {
    /// Nodes 1 to `count`, one cluster, ready.
    pub(crate) async fn of(count: u64, change: Change) -> Self {
        Self::make(count, None, change).await
    }

    /// Node 1 alone, and the number of its directory, as it says while it is fresh.
    pub(crate) async fn of_one_seen_fresh() -> (Self, u64) {
        let mut cluster = Self {
            nodes: Vec::new(),
            net: None,
            directories: tempfile::tempdir().expect("a directory"),
            change: |_| {},
        };
        cluster.add(1).await;
        let node = cluster.node(1);
        let connected = StoreRaftClient::connect(format!("http://{}", node.address)).await;
        let header = RaftHeader {
            version: 3,
            ..RaftHeader::default()
        };
        let asked = RaftCall {
            header: Some(header),
            ..RaftCall::default()
        };
        let told = connected.expect("connected").inspect(asked).await;
        let directory = told.expect("an answer").into_inner().directory;
        node.admin().init(&[]).await.expect("made");
        cluster.ready().await;
        (cluster, directory.expect("it is fresh"))
    }

    /// The same, on a network that can be cut.
    pub(crate) async fn with_net(count: u64, change: Change) -> Self {
        Self::make(count, Some(Net::new()), change).await
    }

    async fn make(count: u64, net: Option<Net>, change: Change) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            net,
            directories: tempfile::tempdir().expect("a directory"),
            change,
        };
        for id in 1..=count {
            cluster.add(id).await;
        }
        let members: Vec<_> = cluster
            .nodes
            .iter()
            .map(|node| (node.id, node.address.clone()))
            .collect();
        let made = cluster.nodes[0].admin().init(&members).await;
        made.expect("the cluster is made");
        cluster.ready().await;
        cluster
    }

    /// Starts a node that is in no cluster yet.
    pub(crate) async fn add(&mut self, id: NodeId) {
        let outside = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        self.start(id, outside).await;
    }

    async fn start(&mut self, id: NodeId, outside: TcpListener) {
        let data = self.data(id);
        let net = self.net.clone();
        let node = TestNode::start(id, &data, outside, net, self.change).await;
        self.nodes.push(node);
    }

    /// Ends a node as a kill would. Says where it was reached.
    pub(crate) fn kill(&mut self, id: NodeId) -> String {
        let index = self.index_of(id);
        self.nodes.remove(index).address.clone()
    }

    /// Where a node keeps its data.
    pub(crate) fn data(&self, id: NodeId) -> PathBuf {
        self.directories.path().join(id.to_string())
    }

    /// Starts a killed node again, where it was.
    pub(crate) async fn restart(&mut self, id: NodeId, address: &str) {
        let outside = wait_for(|| async { TcpListener::bind(address).await.ok() }).await;
        self.start(id, outside).await;
    }

    fn index_of(&self, id: NodeId) -> usize {
        let index = self.nodes.iter().position(|node| node.id == id);
        index.expect("a node of this number runs")
    }

    pub(crate) fn node(&self, id: NodeId) -> &TestNode {
        &self.nodes[self.index_of(id)]
    }

    /// Waits until every node serves readers.
    pub(crate) async fn ready(&self) {
        for node in &self.nodes {
            wait_for(|| async { node.store.unready().is_none().then_some(()) }).await;
        }
    }

    /// Waits for a leader that takes appends.
    pub(crate) async fn leader(&self) -> &TestNode {
        wait_for(|| async {
            self.nodes
                .iter()
                .find(|node| node.store.leads() && node.store.unready().is_none())
        })
        .await
    }

    /// A node that does not lead.
    pub(crate) async fn follower(&self) -> &TestNode {
        let leader = self.leader().await.id;
        let other = self.nodes.iter().find(|node| node.id != leader);
        other.expect("there is another node")
    }

    /// Appends at whichever node leads, as a client would.
    pub(crate) async fn append(&self, batch: &Batch) -> Appended {
        match self.try_append(batch).await {
            Ok(appended) => appended,
            Err(error) => panic!("not appended: {error}"),
        }
    }

    async fn try_append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut last = None;
            for node in &self.nodes {
                match node.store.append(batch).await {
                    Err(error) if error.retryable() => last = Some(error),
                    done => return done,
                }
            }
            if let Some(last) = last
                && tokio::time::Instant::now() > until
            {
                return Err(last);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[async_trait]
impl IndexWriter for Cluster {
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        self.try_append(batch).await
    }
}

impl IndexWatch for Cluster {
    /// At the last node, which does not lead unless it is the only one or the
    /// first one has failed.
    fn watch(&self, after: Option<Revision>) -> WatchStream {
        let node = self.nodes.last().expect("a node runs");
        node.store.watch(after)
    }
}

/// Asks until there is an answer.
pub(crate) async fn wait_for<T, F>(ask: impl Fn() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let asked = tokio::time::timeout(PATIENCE, asked).await;
    asked.expect("what is waited for comes")
}

/// Reads until the watch stands at `revision`. Says whether a snapshot came.
pub(crate) async fn read_to(stream: &mut WatchStream, revision: Revision) -> bool {
    use futures::StreamExt;
    let mut snapshot = false;
    loop {
        let item = tokio::time::timeout(PATIENCE, stream.next()).await;
        let item = item.expect("a watch is not silent").expect("it goes on");
        let at = match item.expect("the watch goes on") {
            WatchItem::SnapshotBegin => {
                snapshot = true;
                continue;
            }
            WatchItem::Snapshot(_) => continue,
            WatchItem::SnapshotEnd(at)
            | WatchItem::Deltas { revision: at, .. }
            | WatchItem::Heartbeat { revision: at, .. } => at,
        };
        if at >= revision {
            return snapshot;
        }
    }
}
