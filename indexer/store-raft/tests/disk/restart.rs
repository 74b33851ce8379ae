//! What was acknowledged is there after a restart.

use std::time::Duration;

use indexer_store_raft::disk::{Disk, DiskError, DiskOptions, OpenError};
use indexer_store_raft::types::ClusterId;
use openraft::storage::RaftLogStorage;
use openraft::{RaftLogReader, Vote};

use crate::make::{NODE, append, entry, id, length, open};
use crate::snapshot::{save, state};

/// Everything in the log, read from the disk.
async fn log_of(disk: &Disk) -> Vec<openraft::Entry<indexer_store_raft::types::TypeConfig>> {
    disk.log().try_get_log_entries(..).await.expect("it reads")
}

#[tokio::test]
async fn log_vote_and_ends_are_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = open(directory.path());
    append(&disk, 1, 0..50).await.expect("appended");
    append(&disk, 2, 50..100).await.expect("appended");
    disk.log().save_vote(&Vote::new(2, 1)).await.expect("saved");
    disk.log()
        .save_committed(Some(id(2, 70)))
        .await
        .expect("saved");
    disk.log().truncate(id(2, 90)).await.expect("truncated");
    append(&disk, 3, 90..95).await.expect("appended");
    drop(disk);

    let disk = open(directory.path());
    let expected: Vec<_> = (0..50)
        .map(|index| entry(1, index, length(index)))
        .chain((50..90).map(|index| entry(2, index, length(index))))
        .chain((90..95).map(|index| entry(3, index, length(index))))
        .collect();
    assert_eq!(log_of(&disk).await, expected);
    let mut log = disk.log();
    assert_eq!(log.read_vote().await.expect("read"), Some(Vote::new(2, 1)));
    assert_eq!(log.read_committed().await.expect("read"), Some(id(2, 70)));
    let state = log.get_log_state().await.expect("read");
    assert_eq!(
        (state.last_purged_log_id, state.last_log_id),
        (None, Some(id(3, 94)))
    );
}

#[tokio::test]
async fn purged_entries_stay_away_and_their_slots_are_used_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = open(directory.path());
    for round in 0..20 {
        append(&disk, 1, round * 50..(round + 1) * 50)
            .await
            .expect("appended");
        let upto = id(1, round * 50 + 39);
        save(&disk, upto, state(20)).await.expect("saved");
        disk.log().purge(upto).await.expect("purged");
    }
    let stats = disk.stats();
    assert_eq!(stats.log_entries, 10);
    drop(disk);
    let disk = open(directory.path());
    let expected: Vec<_> = (990..1000)
        .map(|index| entry(1, index, length(index)))
        .collect();
    assert_eq!(log_of(&disk).await, expected);
    assert_eq!(disk.stats().log_bytes, stats.log_bytes);
    append(&disk, 1, 1000..1010).await.expect("appended");
    assert_eq!(log_of(&disk).await.len(), 20);
}

#[tokio::test]
async fn a_directory_belongs_to_one_cluster() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = open(directory.path());
    assert_eq!(disk.cluster(), None);
    disk.set_cluster(ClusterId(7))
        .await
        .expect("it is the first");
    disk.set_cluster(ClusterId(7))
        .await
        .expect("it is the same");
    drop(disk);
    let disk = open(directory.path());
    assert_eq!(disk.cluster(), Some(ClusterId(7)));
    let refused = disk.set_cluster(ClusterId(8)).await;
    assert!(
        matches!(refused, Err(DiskError::Cluster { .. })),
        "{refused:?}"
    );
}

#[test]
fn another_nodes_foreign_or_open_directories_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = DiskOptions {
        lock_wait: Duration::from_millis(50),
        ..DiskOptions::default()
    };
    let disk = open(directory.path());
    let refused = Disk::open(directory.path(), options.clone(), NODE);
    assert!(
        matches!(refused, Err(OpenError::Locked { .. })),
        "{refused:?}"
    );
    drop(disk);
    let refused = Disk::open(directory.path(), DiskOptions::default(), NODE + 1);
    let expected = "belongs to node 3, this is node 4";
    assert!(
        refused.is_err_and(|error| error.to_string().contains(expected)),
        "it says whose it is"
    );
    let foreign = tempfile::tempdir().expect("a directory");
    std::fs::write(foreign.path().join("letters.txt"), "dear").expect("written");
    let refused = Disk::open(foreign.path(), options.clone(), NODE);
    assert!(
        matches!(refused, Err(OpenError::Foreign { .. })),
        "{refused:?}"
    );
    assert_eq!(
        std::fs::read_dir(foreign.path()).expect("listed").count(),
        1
    );
    std::fs::write(foreign.path().join("marker"), "made by something else").expect("written");
    let refused = Disk::open(foreign.path(), options, NODE);
    assert!(
        matches!(refused, Err(OpenError::Foreign { .. })),
        "{refused:?}"
    );
}

/// Entries leave memory while a reader goes from disk to memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_miss_nothing_while_entries_leave_memory() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = DiskOptions {
        tail_bytes: 40_000,
        ..DiskOptions::default()
    };
    let disk = Disk::open(directory.path(), options, NODE).expect("opens");
    append(&disk, 1, 0..20).await.expect("appended");
    let writing = tokio::spawn({
        let disk = disk.clone();
        async move {
            for index in 20..400 {
                append(&disk, 1, index..index + 1).await.expect("appended");
            }
        }
    });
    let mut reader = disk.log();
    let mut reads = 0;
    while !writing.is_finished() {
        let end = reader.get_log_state().await.expect("read").last_log_id;
        let end = end.map_or(0, |id| id.index + 1);
        let from = end.saturating_sub(30);
        let found = reader.try_get_log_entries(from..end).await.expect("read");
        let found: Vec<u64> = found.iter().map(|entry| entry.log_id.index).collect();
        assert_eq!(found, (from..end).collect::<Vec<_>>());
        let found = reader.limited_get_log_entries(from, end).await;
        assert!(!found.expect("read").is_empty());
        reads += 1;
    }
    writing.await.expect("no panic");
    assert!(reads > 10, "{reads} reads");
}

/// A follower whose log ran on in an earlier term gets a snapshot of a later one.
#[tokio::test]
async fn entries_of_an_earlier_term_go_when_a_snapshot_of_a_later_one_comes() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = open(directory.path());
    append(&disk, 1, 5..60).await.expect("appended");
    save(&disk, id(2, 30), state(20)).await.expect("saved");
    disk.log().purge(id(2, 30)).await.expect("purged");
    assert_eq!(log_of(&disk).await, []);
    append(&disk, 3, 31..40).await.expect("appended");
    let expected: Vec<_> = (31..40)
        .map(|index| entry(3, index, length(index)))
        .collect();
    assert_eq!(log_of(&disk).await, expected);
    drop(disk);
    assert_eq!(log_of(&open(directory.path())).await, expected);
}
