//! What was acknowledged is there again, and the history goes on.

use futures::StreamExt;
use indexer_store::{AppendError, IndexWatch, IndexWriter, OpenError, WatchItem};

use crate::support::*;

#[tokio::test]
async fn a_reopened_store_is_the_one_that_was_closed() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path()).expect("opens");
    for sequence in 0..30 {
        store
            .append(&batch(sequence as u32 % 3, sequence / 3))
            .await
            .expect("appended");
    }
    let (before, revision) = (content(&store).await, store.revision());
    store.close().await;
    let error = store.append(&batch(0, 10)).await.expect_err("closed");
    assert!(matches!(error, AppendError::Closed { .. }) && !error.retryable());

    let store = open(directory.path()).expect("opens");
    assert_eq!(store.revision(), revision);
    assert_eq!(content(&store).await, before);
    let next = store.append(&batch(0, 10)).await.expect("appended");
    assert!(next.revision > revision);
    assert_eq!(next.outcomes[0].applied, 1);
}

/// A reader that was up to date needs no snapshot after the restart.
#[tokio::test]
async fn a_reader_at_the_head_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path()).expect("opens");
    let revision = store.append(&batch(0, 0)).await.expect("appended").revision;
    store.close().await;
    let store = open(directory.path()).expect("opens");
    let mut watch = store.watch(Some(revision));
    let first = watch.next().await.expect("an item").expect("no error");
    assert!(matches!(first, WatchItem::Heartbeat { revision: at, .. } if at == revision));
}

#[tokio::test]
async fn long_journals_become_snapshots() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open_with(directory.path(), 2_000).expect("opens");
    for sequence in 0..300 {
        store.append(&batch(0, sequence)).await.expect("appended");
    }
    let (before, revision) = (content(&store).await, store.revision());
    store.close().await;
    assert!(store.stats().compactions > 2);
    assert_eq!(
        all(directory.path(), "snapshot-").len(),
        1,
        "older ones are removed"
    );
    let store = open_with(directory.path(), 2_000).expect("opens");
    assert_eq!(
        (store.revision(), content(&store).await),
        (revision, before)
    );
}

/// A crash may come after a snapshot is durable and before what it replaces is
/// removed.
#[tokio::test]
async fn what_a_snapshot_replaced_is_not_read_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path()).expect("opens");
    for sequence in 0..5 {
        store.append(&batch(0, sequence)).await.expect("appended");
    }
    store.close().await;
    let older = tempfile::tempdir().expect("a directory");
    copy(directory.path(), older.path());
    let store = open_with(directory.path(), 1).expect("opens");
    store.append(&batch(0, 5)).await.expect("appended");
    let (before, revision) = (content(&store).await, store.revision());
    store.close().await;
    assert_eq!(store.stats().compactions, 1);
    copy(older.path(), directory.path());
    assert_eq!(all(directory.path(), "journal-").len(), 2);
    let store = open(directory.path()).expect("opens");
    assert_eq!(
        (store.revision(), content(&store).await),
        (revision, before)
    );
}

/// A snapshot that was not finished counts for nothing.
#[tokio::test]
async fn an_unfinished_snapshot_is_thrown_away() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path()).expect("opens");
    store.append(&batch(0, 0)).await.expect("appended");
    let before = content(&store).await;
    store.close().await;
    let unfinished = directory.path().join("snapshot-99999999999999999999.tmp");
    std::fs::write(&unfinished, b"half").expect("written");
    let store = open(directory.path()).expect("opens");
    assert_eq!(content(&store).await, before);
    assert!(!unfinished.exists());
}

#[tokio::test]
async fn two_stores_never_share_a_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path()).expect("opens");
    let error = open(directory.path()).expect_err("it is in use");
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    store.close().await;
    assert!(open(directory.path()).is_ok());
}
