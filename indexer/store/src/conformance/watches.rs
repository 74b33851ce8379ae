//! Cases about reading.

use proto_model::Revision;

use super::make::one;
use super::reader::Reader;
use super::workload::Workload;
use crate::seam::{IndexWatch, IndexWriter, WatchError};

/// A watch from nothing begins with a snapshot, also of an empty store, and goes
/// on with what happens then.
pub async fn a_watch_from_nothing_gets_a_snapshot(store: impl IndexWriter + IndexWatch) {
    let mut early = Reader::new(&store);
    early.step().await.expect("an item");
    assert_eq!(early.snapshots, 1);
    let mut workload = Workload::new(7, 5).with_routes();
    let mut revision = Revision(0);
    for _ in 0..50 {
        revision = store
            .append(&workload.next_batch())
            .await
            .expect("appended")
            .revision;
    }
    let mut late = Reader::new(&store);
    late.follow(&store, revision).await;
    early.follow(&store, revision).await;
    assert_eq!((late.snapshots, early.snapshots), (1, 1));
    assert_eq!(late.replica, early.replica);
}

/// A watch from a known place gets what came after it, once, and no snapshot.
pub async fn a_resumed_watch_gets_only_what_is_new(store: impl IndexWriter + IndexWatch) {
    let mut reader = Reader::new(&store);
    for n in 0..10 {
        let revision = store
            .append(&one(1, n, n, n))
            .await
            .expect("appended")
            .revision;
        if n % 3 == 0 {
            reader.follow(&store, revision).await;
            reader.resume(&store);
        }
    }
    let last = store
        .append(&one(1, 10, 10, 10))
        .await
        .expect("appended")
        .revision;
    reader.follow(&store, last).await;
    let mut fresh = Reader::new(&store);
    fresh.follow(&store, last).await;
    assert_eq!(reader.snapshots, 1);
    assert_eq!(reader.replica, fresh.replica);
}

/// A reader that stands ahead of this history starts anew; or, of a store of
/// several nodes, is told that it cannot be served, for this may be a node that is
/// behind. It is never fed changes, or told that it is up to date.
pub async fn a_watch_from_beyond_the_end_starts_anew(store: impl IndexWriter + IndexWatch) {
    let revision = store
        .append(&one(1, 0, 0, 0))
        .await
        .expect("appended")
        .revision;
    let mut reader = Reader::new(&store);
    reader.resume_at(&store, Some(Revision(revision.0 + 1_000)));
    while reader.at.is_none() {
        match reader.step().await {
            Ok(()) => assert_eq!(reader.snapshots, 1, "no snapshot came first"),
            Err(WatchError::Unavailable { .. }) => return,
            Err(error) => panic!("expected a snapshot, or unavailable: {error}"),
        }
    }
    assert_eq!(reader.at, Some(revision));
}

/// A watch that has nothing to say says so, with the store's position.
pub async fn an_idle_watch_says_that_it_is_alive(store: impl IndexWriter + IndexWatch) {
    let revision = store
        .append(&one(1, 0, 0, 0))
        .await
        .expect("appended")
        .revision;
    let mut reader = Reader::new(&store);
    reader.follow(&store, revision).await;
    while reader.heartbeats < 2 {
        reader.step().await.expect("a heartbeat");
    }
}

/// A place that the history does not reach back to gets a snapshot and then the
/// rest, without a hole. Needs a short history.
pub async fn too_old_a_place_gets_a_snapshot(store: impl IndexWriter + IndexWatch) {
    let mut workload = Workload::new(9, 5).with_routes();
    let mut reader = Reader::new(&store);
    let old = store
        .append(&workload.next_batch())
        .await
        .expect("appended")
        .revision;
    reader.follow(&store, old).await;
    let mut revision = old;
    for _ in 0..400 {
        revision = store
            .append(&workload.next_batches(5))
            .await
            .expect("appended")
            .revision;
    }
    reader.resume(&store);
    reader.follow(&store, revision).await;
    assert!(
        reader.snapshots >= 2,
        "the history is longer than the case needs"
    );
    let mut fresh = Reader::new(&store);
    fresh.follow(&store, revision).await;
    assert_eq!(reader.replica, fresh.replica);
}
