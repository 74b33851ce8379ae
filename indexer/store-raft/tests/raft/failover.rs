//! Nodes that are killed, and what was acknowledged.

use std::sync::Arc;

use indexer_store_raft::RaftStore;
use proto_model::{Batch, Revision};
use tokio::sync::RwLock;

use crate::batches::{one, publisher};
use crate::support::{Cluster, wait_for};

/// Appends all messages of a publisher while nodes come and go.
async fn write(cluster: Arc<RwLock<Cluster>>, number: u64, messages: u64) -> Revision {
    let mut last = Revision(0);
    for sequence in 0..messages {
        let appended = try_until_done(&cluster, &one(number, sequence)).await;
        assert!(last < appended.revision, "revisions went back");
        assert_eq!(
            appended.outcomes[0].gap, None,
            "an acknowledged message is missing"
        );
        last = appended.revision;
    }
    last
}

async fn try_until_done(cluster: &RwLock<Cluster>, batch: &Batch) -> indexer_store::Appended {
    use indexer_store::IndexWriter;
    wait_for(|| async {
        // Not held while it is waited, so that nodes can be killed meanwhile.
        let stores: Vec<Arc<RaftStore>> = {
            let cluster = cluster.read().await;
            cluster
                .nodes
                .iter()
                .map(|node| Arc::clone(&node.store))
                .collect()
        };
        for store in stores {
            match store.append(batch).await {
                Ok(appended) => return Some(appended),
                Err(error) => assert!(may_be_tried_again(&error), "{error}"),
            }
        }
        None
    })
    .await
}

/// A killed node's own store says that it is closed.
fn may_be_tried_again(error: &indexer_store::AppendError) -> bool {
    error.retryable() || matches!(error, indexer_store::AppendError::Closed { .. })
}

async fn next_of(cluster: &Cluster, number: u64, messages: u64) {
    for node in &cluster.nodes {
        wait_for(|| async {
            let cursor = node.store.cursor(&publisher(number))?;
            (cursor.next == messages).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_go_on_when_leaders_are_killed() {
    const WRITERS: u64 = 4;
    const MESSAGES: u64 = 60;
    let cluster = Arc::new(RwLock::new(Cluster::of(3, |_| {}).await));
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| tokio::spawn(write(Arc::clone(&cluster), number, MESSAGES)))
        .collect();
    for _ in 0..2 {
        let id = cluster.read().await.leader().await.id;
        let address = cluster.write().await.kill(id);
        cluster.read().await.leader().await;
        cluster.write().await.restart(id, &address).await;
    }
    for writer in writers {
        writer.await.expect("all was appended");
    }
    let cluster = cluster.read().await;
    for number in 0..WRITERS {
        next_of(&cluster, number, MESSAGES).await;
    }
    let revisions: Vec<_> = cluster
        .nodes
        .iter()
        .map(|node| node.store.stats().revision)
        .collect();
    assert!(
        revisions.windows(2).all(|pair| pair[0] == pair[1]),
        "{revisions:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_lost_its_power_has_everything() {
    const MESSAGES: u64 = 50;
    let cluster = Arc::new(RwLock::new(Cluster::of(3, |_| {}).await));
    let last = write(Arc::clone(&cluster), 1, MESSAGES).await;
    let mut cluster = cluster.write().await;
    let addresses: Vec<_> = (1..=3).map(|id| cluster.kill(id)).collect();
    for (id, address) in (1..=3).zip(&addresses) {
        cluster.restart(id, address).await;
    }
    cluster.ready().await;
    next_of(&cluster, 1, MESSAGES).await;
    let appended = cluster.append(&one(1, MESSAGES)).await;
    assert!(last < appended.revision, "the history began anew");
}
