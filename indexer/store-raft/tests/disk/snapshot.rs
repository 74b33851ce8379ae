//! Snapshots: whole, in turns, one cluster's.

use indexer_state::{State, StateLimits};
use indexer_store_raft::disk::{Disk, DiskError};
use indexer_store_raft::snapshot::SnapshotImage;
use indexer_store_raft::types::{ClusterId, NodeId, RaftNode};
use openraft::{LogId, SnapshotMeta, StoredMembership};
use proto_model::*;

use crate::make::{append, id, open};

pub(crate) const CLUSTER: ClusterId = ClusterId(7);

pub(crate) fn meta(upto: LogId<NodeId>) -> SnapshotMeta<NodeId, RaftNode> {
    SnapshotMeta {
        last_log_id: Some(upto),
        last_membership: StoredMembership::default(),
        snapshot_id: upto.to_string(),
    }
}

/// A state with that many blocks of one publisher.
pub(crate) fn state(blocks: u64) -> State {
    let space = KeySpace {
        profile: Profile::Content,
        model: "model".to_owned(),
        lora: None,
        block_size: 16,
        extras: Extras::Published,
    };
    let stored = Change::Stored {
        space: 0,
        medium: Medium::Gpu,
        group: 0,
        parent: None,
        blocks: (1..=blocks)
            .map(|hash| StoredBlock {
                hash: EngineHash(hash << 32),
                local: LocalHash(hash * 17),
            })
            .collect(),
    };
    let events = EventsCommand {
        publisher: Publisher {
            endpoint: Endpoint::new("disk", "10.0.0.1:8000").expect("valid"),
            rank: Rank(0),
        },
        model: "model".to_owned(),
        spaces: vec![space],
        messages: vec![Message {
            sequence: 0,
            timestamp: Timestamp(1_000),
            stream: None,
            changes: vec![stored],
        }],
    };
    let mut state = State::new(StateLimits::default());
    let outcome = state.apply(&Command::Events(events), &mut Vec::new());
    assert_eq!(outcome.applied, 1);
    state
}

pub(crate) async fn save(disk: &Disk, upto: LogId<NodeId>, state: State) -> Result<(), DiskError> {
    let image = SnapshotImage {
        cluster: Some(CLUSTER),
        revision: Revision(upto.index),
        state,
    };
    disk.snapshots().save(meta(upto), image).await
}

/// The blocks in the snapshot, and where it stands.
pub(crate) fn loaded(disk: &Disk) -> Option<(u64, SnapshotMeta<NodeId, RaftNode>)> {
    let loaded = disk.snapshots().load().expect("it is whole");
    loaded.map(|(meta, image)| {
        assert_eq!(image.cluster, Some(CLUSTER));
        assert_eq!(Some(image.revision.0), meta.last_log_id.map(|id| id.index));
        (image.state.stats().memberships, meta)
    })
}

#[tokio::test]
async fn what_is_saved_is_loaded_larger_and_smaller_ones_in_turn() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut disk = open(directory.path());
    append(&disk, 1, 0..100).await.expect("appended");
    assert_eq!(loaded(&disk), None);
    let sizes = [10, 30_000, 5, 60_000, 1_000, 0];
    for (number, blocks) in (1..).zip(sizes) {
        let original = if blocks == 0 {
            State::new(StateLimits::default())
        } else {
            state(blocks)
        };
        save(&disk, id(1, number), original.clone())
            .await
            .expect("saved");
        assert_eq!(loaded(&disk), Some((blocks, meta(id(1, number)))));
        drop(disk);
        disk = open(directory.path());
        let (found, image) = disk.snapshots().load().expect("whole").expect("there");
        assert_eq!(found, meta(id(1, number)));
        assert!(image.state.image().eq(original.image()), "{blocks} blocks");
    }
}

#[tokio::test]
async fn an_older_one_does_not_replace_a_newer() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = open(directory.path());
    append(&disk, 1, 0..10).await.expect("appended");
    save(&disk, id(1, 8), state(8)).await.expect("saved");
    save(&disk, id(1, 5), state(5)).await.expect("not needed");
    drop(disk);
    let disk = open(directory.path());
    assert_eq!(loaded(&disk), Some((8, meta(id(1, 8)))));
}

#[tokio::test]
async fn another_clusters_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = open(directory.path());
    disk.set_cluster(ClusterId(8))
        .await
        .expect("it is the first");
    let refused = save(&disk, id(1, 5), state(5)).await;
    assert!(
        matches!(refused, Err(DiskError::Cluster { .. })),
        "{refused:?}"
    );
    assert_eq!(disk.snapshots().current(), None);
}

/// Appends are acknowledged while a snapshot is being written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_go_on_meanwhile() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = indexer_store_raft::disk::DiskOptions {
        snapshot_bytes_per_second: 1 << 20,
        ..Default::default()
    };
    let disk = Disk::open(directory.path(), options, crate::make::NODE).expect("opens");
    append(&disk, 1, 0..10).await.expect("appended");
    let saving = tokio::spawn({
        let disk = disk.clone();
        async move { save(&disk, id(1, 5), state(60_000)).await }
    });
    let mut next = 10;
    while !saving.is_finished() {
        append(&disk, 1, next..next + 1).await.expect("appended");
        next += 1;
    }
    saving.await.expect("no panic").expect("saved");
    assert!(next > 20, "only {next} entries during a second");
    assert_eq!(loaded(&disk).map(|(blocks, _)| blocks), Some(60_000));
}
