//! Nodes that the log cannot help any more.

use indexer_store_raft::RaftOptions;

use crate::batches::{message, publisher};
use crate::support::{Cluster, wait_for};

fn short_log(options: &mut RaftOptions) {
    options.log_bytes = 1 << 16;
    options.log_share_percent = 0;
    options.log_keep_entries = 4;
}

/// Appends until the leader's log begins after `index`. Says how many messages
/// there were.
async fn append_past(cluster: &Cluster, index: u64) -> u64 {
    let mut sequence = 0;
    while cluster.leader().await.store.status().purged < Some(index + 1) {
        assert!(sequence < 10_000, "the log is never cut");
        cluster.append(&message(1, sequence, 64)).await;
        sequence += 1;
    }
    sequence
}

async fn has_all(cluster: &Cluster, id: u64, messages: u64) {
    let store = &cluster.node(id).store;
    wait_for(|| async {
        let cursor = store.cursor(&publisher(1))?;
        (cursor.next == messages).then_some(())
    })
    .await;
    let leader = cluster.leader().await;
    wait_for(|| async { (leader.store.stats().revision == store.stats().revision).then_some(()) })
        .await;
    let (there, here) = (leader.store.stats().state, store.stats().state);
    assert_eq!(there.memberships, here.memberships);
    assert_eq!(there.blocks, here.blocks);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_too_long_gets_a_snapshot() {
    let mut cluster = Cluster::of(3, short_log).await;
    let away = cluster.follower().await.id;
    let had = cluster.node(away).store.status().last_log.expect("a log");
    let address = cluster.kill(away);
    let messages = append_past(&cluster, had).await;
    cluster.restart(away, &address).await;
    has_all(&cluster, away, messages).await;
    cluster.ready().await;
    let status = cluster.node(away).store.status();
    assert!(status.snapshot > Some(had), "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_node_gets_a_snapshot_and_starts_from_it() {
    let mut cluster = Cluster::of(1, short_log).await;
    let messages = append_past(&cluster, 1).await;
    cluster.add(2).await;
    let second = cluster.node(2).address.clone();
    cluster
        .node(1)
        .admin()
        .join(2, &second)
        .await
        .expect("joined");
    has_all(&cluster, 2, messages).await;
    cluster.kill(2);
    cluster.restart(2, &second).await;
    has_all(&cluster, 2, messages).await;
}
