//! A leader that goes hands over.

use std::time::Duration;

use indexer_store::{AppendError, IndexWriter};

use crate::batches::one;
use crate::support::{Cluster, PATIENCE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draining_leader_hands_over_and_says_to_whom() {
    let cluster = Cluster::of(3, |_| {}).await;
    cluster.append(&one(1, 0)).await;
    let old = cluster.leader().await;
    old.store.drain(PATIENCE).await;
    assert!(!old.store.leads(), "it leads still");
    let new = cluster.leader().await;
    assert_ne!(new.id, old.id);
    let refused = old.store.append(&one(1, 1)).await;
    let Err(AppendError::NotLeader { leader }) = refused else {
        panic!("a draining node took an append: {refused:?}");
    };
    assert_eq!(leader, Some(new.address.clone()));
    new.store.append(&one(1, 1)).await.expect("appended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_nodes_hand_over_too() {
    let cluster = Cluster::of(5, |_| {}).await;
    let old = cluster.leader().await;
    old.store.drain(PATIENCE).await;
    assert!(!old.store.leads(), "it leads still");
    cluster.append(&one(1, 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_node_has_nobody_to_hand_over_to() {
    let cluster = Cluster::of(1, |_| {}).await;
    let node = cluster.leader().await;
    // It does not wait for somebody who cannot come.
    node.store.drain(Duration::MAX / 4).await;
    let refused = node.store.append(&one(1, 0)).await;
    assert!(
        matches!(refused, Err(AppendError::NotLeader { leader: None })),
        "{refused:?}"
    );
}
