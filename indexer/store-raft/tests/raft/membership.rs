//! Who belongs to a cluster, changed while it serves.

use futures::StreamExt;
use indexer_store::{IndexWatch, WatchError};
use indexer_store_raft::{AdminClient, AdminError, RefusalReason, Role};

use crate::batches::{one, publisher};
use crate::support::{Cluster, wait_for};

fn reason(result: Result<(), AdminError>) -> RefusalReason {
    match result {
        Err(AdminError::Refused { reason, .. }) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

/// Adds a node, with a vote.
async fn add(cluster: &mut Cluster, admin: &AdminClient, id: u64) {
    cluster.add(id).await;
    let address = cluster.node(id).address.clone();
    admin.join(id, &address).await.expect("joined");
    wait_for(|| async { admin.promote(id).await.ok() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_grows_and_loses_its_first_node() {
    let mut cluster = Cluster::of(1, |_| {}).await;
    cluster.append(&one(1, 0)).await;
    let admin = cluster.node(1).admin();
    add(&mut cluster, &admin, 2).await;
    add(&mut cluster, &admin, 3).await;
    cluster.append(&one(1, 1)).await;
    cluster.ready().await;

    // By way of a node that does not lead; the leader hands over first.
    let leader = cluster.leader().await.id;
    let admin = cluster.follower().await.admin();
    admin.remove(leader).await.expect("removed");
    wait_for(|| async {
        (cluster.node(leader).store.status().role == Role::Removed).then_some(())
    })
    .await;
    let mut watch = cluster.node(leader).store.watch(None);
    let refused = watch.next().await.expect("an answer");
    assert!(
        matches!(refused, Err(WatchError::Unavailable { .. })),
        "{refused:?}"
    );
    drop(watch);

    let appended = cluster.append(&one(1, 2)).await;
    assert_eq!(appended.outcomes[0].applied, 1);
    let status = admin.status().await.expect("an answer");
    assert_eq!(status.nodes.len(), 2);
    assert!(
        status
            .nodes
            .iter()
            .all(|node| node.voter && node.unreachable.is_none())
    );
    assert!(status.nodes.iter().all(|node| node.node_id != leader));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_node_that_was_away_finds_out() {
    let mut cluster = Cluster::of(3, |_| {}).await;
    cluster.append(&one(1, 0)).await;
    let away = cluster.follower().await.id;
    let address = cluster.kill(away);
    let admin = cluster.leader().await.admin();
    admin.remove(away).await.expect("removed");
    let term = cluster.leader().await.store.status().term;
    cluster.restart(away, &address).await;
    wait_for(|| async { (cluster.node(away).store.status().role == Role::Removed).then_some(()) })
        .await;
    assert_eq!(
        cluster.leader().await.store.status().term,
        term,
        "it disturbed the others"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_refused() {
    let mut cluster = Cluster::of(1, |_| {}).await;
    let admin = cluster.node(1).admin();
    let known = cluster.node(1).address.clone();
    assert_eq!(
        reason(admin.init(&[]).await),
        RefusalReason::AlreadyInitialised
    );
    assert_eq!(reason(admin.promote(9).await), RefusalReason::UnknownNode);
    assert_eq!(reason(admin.remove(9).await), RefusalReason::UnknownNode);
    assert_eq!(reason(admin.remove(1).await), RefusalReason::LastVoter);
    assert_eq!(reason(admin.join(2, &known).await), RefusalReason::Taken);
    assert_eq!(
        reason(admin.join(2, "nowhere").await),
        RefusalReason::Invalid
    );
    assert_eq!(reason(admin.join(0, "a:1").await), RefusalReason::Invalid);
    assert_eq!(
        reason(admin.join(2, "127.0.0.1:1").await),
        RefusalReason::BadNode
    );

    cluster.add(2).await;
    let second = cluster.node(2).address.clone();
    assert_eq!(reason(admin.join(3, &second).await), RefusalReason::BadNode);
    admin.join(2, &second).await.expect("joined");
    assert_eq!(
        reason(admin.join(2, "127.0.0.1:1").await),
        RefusalReason::Taken
    );
    let begun = wait_for(|| async { cluster.node(2).store.status().revision }).await;
    assert_eq!(cluster.node(2).store.status().role, Role::Learner);
    assert!(begun > 0);

    // A learner that is away has everything to catch up with.
    cluster.kill(2);
    for sequence in 0..300 {
        cluster.append(&one(1, sequence)).await;
    }
    assert_eq!(reason(admin.promote(2).await), RefusalReason::NotCaughtUp);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clusters_do_not_mix() {
    let one_cluster = Cluster::of(1, |_| {}).await;
    let mut other = Cluster::of(1, |_| {}).await;
    other.append(&one(7, 0)).await;
    other.add(2).await;
    let second = other.node(2).address.clone();
    other
        .node(1)
        .admin()
        .join(2, &second)
        .await
        .expect("joined");
    wait_for(|| async { other.node(2).store.cursor(&publisher(7)) }).await;

    let refused = one_cluster.node(1).admin().join(2, &second).await;
    assert_eq!(reason(refused), RefusalReason::AlreadyInitialised);
    let first = one_cluster.node(1).store.status().cluster;
    assert_ne!(first, other.node(2).store.status().cluster);
}
