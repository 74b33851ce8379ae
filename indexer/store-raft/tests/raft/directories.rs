//! Nodes that come back with another directory than they left with.

use std::path::Path;

use indexer_store_raft::{AdminError, RefusalReason, Role};

use crate::batches::{one, publisher};
use crate::support::{Cluster, PATIENCE, wait_for};

/// Why the node had to end.
async fn failure(cluster: &Cluster, id: u64) -> String {
    let failed = tokio::time::timeout(PATIENCE, cluster.node(id).store.failed());
    failed.await.expect("the node finds out")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_voter_does_not_vote_and_nothing_is_lost() {
    let mut cluster = Cluster::of(3, |_| {}).await;
    cluster.append(&one(1, 0)).await;
    let whole = cluster.leader().await.id;
    let others: Vec<_> = (1..=3).filter(|id| *id != whole).collect();
    let (emptied, late) = (others[0], others[1]);
    // Two of three have what comes now; then one of these two forgets it.
    let late_at = cluster.kill(late);
    for sequence in 1..20 {
        cluster.append(&one(1, sequence)).await;
    }
    let emptied_at = cluster.kill(emptied);
    let whole_at = cluster.kill(whole);
    std::fs::remove_dir_all(cluster.data(emptied)).expect("emptied");
    cluster.restart(emptied, &emptied_at).await;
    cluster.restart(late, &late_at).await;

    let reason = failure(&cluster, emptied).await;
    assert!(reason.contains("was added with"), "{reason}");
    assert!(
        reason.contains(&format!("remove node {emptied}")),
        "{reason}"
    );
    let status = cluster.node(emptied).store.status();
    assert_eq!((status.role, status.term), (Role::Stopped, 0), "it voted");
    assert!(!cluster.node(late).store.leads(), "it was voted for");

    cluster.restart(whole, &whole_at).await;
    let leader = cluster.leader().await;
    let cursor = leader.store.cursor(&publisher(1)).expect("it is known");
    assert_eq!(cursor.next, 20, "what was acknowledged is lost");

    // As the reason says: the number goes, a new one comes.
    let admin = leader.admin();
    admin.remove(emptied).await.expect("removed");
    cluster.add(4).await;
    let fourth = cluster.node(4).address.clone();
    admin.join(4, &fourth).await.expect("joined");
    wait_for(|| async { admin.promote(4).await.ok() }).await;
    let again = admin.join(4, &fourth).await.expect_err("it votes");
    let AdminError::Refused { reason, message } = again else {
        panic!("not refused: {again}");
    };
    assert_eq!(reason, RefusalReason::Taken);
    assert!(
        message.contains("a member with a vote already"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_a_directory_ends_its_node_and_not_the_leader() {
    let mut cluster = Cluster::of(3, |_| {}).await;
    cluster.append(&one(1, 0)).await;
    let behind = cluster.follower().await.id;
    let has = |cluster: &Cluster, next: u64| {
        let cursor = cluster.node(behind).store.cursor(&publisher(1));
        cursor.is_some_and(|cursor| cursor.next == next)
    };
    wait_for(|| async { has(&cluster, 1).then_some(()) }).await;
    let address = cluster.kill(behind);
    let older = tempfile::tempdir().expect("a directory");
    copy(&cluster.data(behind), older.path());
    cluster.restart(behind, &address).await;
    for sequence in 1..20 {
        cluster.append(&one(1, sequence)).await;
    }
    wait_for(|| async { has(&cluster, 20).then_some(()) }).await;
    cluster.kill(behind);
    let data = cluster.data(behind);
    std::fs::remove_dir_all(&data).expect("removed");
    copy(older.path(), &data);
    cluster.restart(behind, &address).await;

    let reason = failure(&cluster, behind).await;
    assert!(reason.contains("has acknowledged"), "{reason}");
    let appended = cluster.append(&one(1, 20)).await;
    assert_eq!(appended.outcomes[0].applied, 1);
}
