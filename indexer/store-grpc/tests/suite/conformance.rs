//! The suite for stores, over loopback.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use indexer_store::conformance::Setup;
use indexer_store::{
    AppendError, Appended, EmbeddedOptions, EmbeddedStore, HistoryOptions, IndexWatch, IndexWriter,
    WatchStream,
};
use indexer_store_grpc::{RemoteOptions, RemoteStore};
use proto_model::{Batch, Revision};

use super::node::{Node, quick};
use super::writers::Follower;

/// A client and the nodes that it needs.
struct OverLoopback {
    client: RemoteStore,
    _nodes: Vec<Node>,
}

#[async_trait]
impl IndexWriter for OverLoopback {
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        self.client.append(batch).await
    }
}

impl IndexWatch for OverLoopback {
    fn watch(&self, after: Option<Revision>) -> WatchStream {
        self.client.watch(after)
    }
}

fn store(setup: Setup) -> Arc<EmbeddedStore> {
    let history = match setup {
        Setup::Plain => quick(),
        Setup::ShortHistory => HistoryOptions {
            ring_bytes: 1 << 14,
            ..quick()
        },
    };
    Arc::new(EmbeddedStore::in_memory(EmbeddedOptions {
        history,
        ..Default::default()
    }))
}

fn client(nodes: &[Node]) -> RemoteStore {
    let mut options = RemoteOptions::new(nodes.iter().map(Node::address).collect());
    options.watch_patience = Duration::from_secs(60);
    RemoteStore::connect(options).expect("valid options")
}

mod one_node {
    use super::*;

    async fn make(setup: Setup) -> OverLoopback {
        let nodes = vec![Node::of(&store(setup)).await];
        OverLoopback {
            client: client(&nodes),
            _nodes: nodes,
        }
    }

    indexer_store::conformance_suite!(make);
}

/// Two nodes with one history; only one of them takes batches.
mod leader_and_follower {
    use super::*;

    async fn make(setup: Setup) -> OverLoopback {
        let store = store(setup);
        let leader = Node::of(&store).await;
        let (follower, _) = Follower::of(Some(leader.address()));
        let follower = Node::start(&follower, &store, Default::default()).await;
        let nodes = vec![follower, leader];
        OverLoopback {
            client: client(&nodes),
            _nodes: nodes,
        }
    }

    indexer_store::conformance_suite!(make);
}
