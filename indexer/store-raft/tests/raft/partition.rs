//! Nodes that do not hear each other.

use futures::StreamExt;
use indexer_store::{AppendError, IndexWatch, IndexWriter, WatchError, WatchItem};
use proto_model::Revision;

use crate::batches::{one, publisher};
use crate::support::{Cluster, PATIENCE, read_to, wait_for};

/// All but this one.
fn others(id: u64) -> Vec<u64> {
    (1..=3).filter(|other| *other != id).collect()
}

/// A node that is cut off sends its readers away: it must not tell them that
/// nothing happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_cut_off_node_are_sent_away() {
    let cluster = Cluster::with_net(3, |_| {}).await;
    let net = cluster.net.clone().expect("a net");
    let first = cluster.append(&one(1, 0)).await.revision;
    let node = cluster.follower().await;
    let mut watch = node.store.watch(None);
    read_to(&mut watch, first).await;

    net.split(&[node.id], &others(node.id));
    let mut newest = 0;
    let ended = loop {
        let item = tokio::time::timeout(PATIENCE, watch.next()).await;
        match item.expect("it ends").expect("with an error") {
            Ok(WatchItem::Heartbeat { at_ms, .. }) => newest = at_ms,
            Ok(other) => panic!("{other:?} from a node that hears nobody"),
            Err(error) => break error,
        }
    };
    assert!(matches!(ended, WatchError::Unavailable { .. }), "{ended}");
    let before = node.store.status().age_ms.expect("it once was at the head");
    assert!(newest > 0, "it was never fresh");
    assert!(
        before >= 3_000,
        "sent away after {before} ms, while it could be fresh"
    );

    // What is appended meanwhile is not there, and is known not to be.
    let second = cluster.append(&one(1, 1)).await.revision;
    let refused = node
        .store
        .watch(Some(second))
        .next()
        .await
        .expect("an answer");
    assert!(
        matches!(refused, Err(WatchError::Unavailable { .. })),
        "{refused:?}"
    );

    net.heal();
    cluster.ready().await;
    let mut watch = node.store.watch(Some(second));
    let snapshot = read_to(&mut watch, second).await;
    assert!(!snapshot, "the reader had everything");
}

/// A reader that comes from a node that is ahead waits until this one is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_ahead_of_a_node_waits_for_it() {
    let cluster = Cluster::of(3, |_| {}).await;
    let node = cluster.follower().await;
    for sequence in 0..20 {
        let revision = cluster.append(&one(1, sequence)).await.revision;
        let mut watch = node.store.watch(Some(revision));
        let snapshot = read_to(&mut watch, revision).await;
        assert!(!snapshot, "the reader was taken back");
    }
}

/// Another history's revision, however high, is no reason to wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_a_lost_history_begins_anew() {
    let cluster = Cluster::of(3, |_| {}).await;
    let revision = cluster.append(&one(1, 0)).await.revision;
    for node in &cluster.nodes {
        let mut watch = node.store.watch(Some(Revision(revision.0 + 1_000_000)));
        let snapshot = read_to(&mut watch, revision).await;
        assert!(snapshot, "a foreign revision was taken for one of ours");
    }
}

/// The others elect a leader; the old one acknowledges nothing, and follows when
/// it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_off_leader_acknowledges_nothing() {
    let cluster = Cluster::with_net(3, |_| {}).await;
    let net = cluster.net.clone().expect("a net");
    cluster.append(&one(1, 0)).await;
    let old = cluster.leader().await;
    net.split(&[old.id], &others(old.id));
    let lost = old.store.append(&one(2, 0)).await;
    assert!(
        matches!(
            lost,
            Err(AppendError::Unavailable { .. } | AppendError::NotLeader { .. })
        ),
        "{lost:?}"
    );
    let new = wait_for(|| async {
        let mut nodes = cluster.nodes.iter();
        nodes.find(|node| node.id != old.id && node.store.leads())
    })
    .await;
    let appended = cluster.append(&one(1, 1)).await;
    assert_eq!(appended.outcomes[0].applied, 1);

    net.heal();
    cluster.ready().await;
    wait_for(|| async { (!old.store.leads()).then_some(()) }).await;
    wait_for(|| async { (old.store.cursor(&publisher(1))?.next == 2).then_some(()) }).await;
    assert_eq!(
        old.store.cursor(&publisher(2)),
        None,
        "what was lost came back"
    );
    assert_eq!(new.store.cursor(&publisher(2)), None);
}

/// A follower that was cut off does not unseat the leader when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_comes_back_disturbs_nobody() {
    let cluster = Cluster::with_net(3, |_| {}).await;
    let net = cluster.net.clone().expect("a net");
    let (leader, node) = (cluster.leader().await, cluster.follower().await);
    let term = leader.store.status().term;
    net.split(&[node.id], &others(node.id));
    // It has stood at nobody's head for longer than any election timeout.
    wait_for(|| async { node.store.unready() }).await;
    net.heal();
    cluster.ready().await;
    assert!(leader.store.leads(), "the leader was unseated");
    assert_eq!(node.store.status().term, term);
}
