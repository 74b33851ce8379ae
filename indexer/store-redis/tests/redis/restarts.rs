//! Redis comes back with nothing, with less, with everything, or not at all.

use std::time::Duration;

use indexer_store::{AppendError, IndexWriter, WatchError, WatchItem};
use proto_model::{SequenceGap, Trust};

use crate::make::{append, one, publisher};
use crate::reader::Reader;
use crate::support::{Server, connect};

const ALWAYS: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// A Redis that lost everything is an empty index, not the old one: readers hear
/// of it under a revision beyond all before, and writers that their publishers
/// are not known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_redis_is_an_empty_index() {
    let mut server = Server::start().await;
    let (store, engine) = (server.store().await, publisher(1, 0));
    let mut reader = Reader::new(&store);
    let mut last = append(&store, &one(&engine, 0)).await.revision;
    for sequence in 1..10 {
        last = append(&store, &one(&engine, sequence)).await.revision;
    }
    reader.follow(&store, last).await;
    assert_eq!(reader.index.held(&engine), 10);
    server.start_again().await;
    let lost = append(&store, &one(&engine, 10)).await;
    assert_eq!(
        lost.outcomes[0].gap,
        Some(SequenceGap {
            expected: 0,
            found: 10
        })
    );
    assert!(lost.revision > last);
    reader.follow(&store, lost.revision).await;
    assert_eq!(reader.index.held(&engine), 0);
    assert_eq!(reader.index.cursor(&engine), None);
    assert_eq!(reader.snapshots, 2);
}

/// The same without a restart: somebody deletes all keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_keys_are_an_empty_index() {
    let server = Server::start().await;
    let (store, engine) = (server.store().await, publisher(1, 0));
    let mut reader = Reader::new(&store);
    let last = append(&store, &one(&engine, 0)).await.revision;
    reader.follow(&store, last).await;
    server.ask::<()>(&["FLUSHALL"]).await;
    let next = append(&store, &one(&engine, 1)).await;
    assert!(next.outcomes[0].gap.is_some());
    reader.follow(&store, next.revision).await;
    assert_eq!(reader.index.held(&engine), 0);
}

/// A Redis that lost its latest data has lost cursors and blocks together: writers
/// see what is missing and bring it again, and readers never go on from what is
/// no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_redis_asks_again_for_what_it_lost() {
    let mut server = Server::start().await;
    let (store, engine) = (server.store().await, publisher(1, 0));
    let mut reader = Reader::new(&store);
    for sequence in 0..5 {
        append(&store, &one(&engine, sequence)).await;
    }
    server.ask::<()>(&["SAVE"]).await;
    let mut last = None;
    for sequence in 5..10 {
        last = Some(append(&store, &one(&engine, sequence)).await.revision);
    }
    let last = last.expect("appended");
    reader.follow(&store, last).await;
    server.start_again().await;
    let gap = append(&store, &one(&engine, 10)).await;
    assert_eq!(
        gap.outcomes[0].gap,
        Some(SequenceGap {
            expected: 5,
            found: 10
        })
    );
    assert!(gap.revision > last);
    reader.follow(&store, gap.revision).await;
    assert_eq!(reader.index.held(&engine), 5);
    for sequence in 5..11 {
        let again = append(&store, &one(&engine, sequence)).await;
        assert_eq!(again.outcomes[0].applied, 1);
        reader.follow(&store, again.revision).await;
    }
    assert_eq!(reader.index.held(&engine), 11);
    let trust = reader.index.cursor(&engine).map(|cursor| cursor.trust);
    assert_eq!(trust, Some(Trust::Exact), "nothing was lost in the end");
}

/// What was on the disk is there after a crash, in a new epoch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_redis_goes_on() {
    let mut server = Server::with(&ALWAYS).await;
    let (store, engine) = (server.store().await, publisher(1, 0));
    let mut reader = Reader::new(&store);
    for sequence in 0..10 {
        append(&store, &one(&engine, sequence)).await;
    }
    server.start_again().await;
    let next = append(&store, &one(&engine, 10)).await;
    assert_eq!((next.outcomes[0].applied, next.outcomes[0].gap), (1, None));
    reader.follow(&store, next.revision).await;
    assert_eq!(reader.index.held(&engine), 11);
    // And so for a process that comes only now.
    let late = server.store().await;
    let mut fresh = Reader::new(&late);
    fresh.follow(&late, next.revision).await;
    assert_eq!(fresh.index, reader.index);
    assert_eq!(fresh.at, Some(next.revision));
}

/// While Redis is away, readers are told, not soothed; afterwards all goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_nobody_is_told_that_all_is_well() {
    let mut server = Server::with(&ALWAYS).await;
    let mut options = server.options();
    options.append_timeout = Duration::from_secs(1);
    options.silence_max = Duration::from_millis(500);
    let (store, engine) = (connect(options).await, publisher(1, 0));
    let mut reader = Reader::new(&store);
    let first = append(&store, &one(&engine, 0)).await;
    reader.follow(&store, first.revision).await;
    server.kill();
    let error = store.append(&one(&engine, 1)).await.expect_err("no Redis");
    assert!(matches!(error, AppendError::Unavailable { .. }), "{error}");
    let ended = loop {
        match reader.step().await {
            Ok(WatchItem::Heartbeat { .. }) => {}
            Ok(other) => panic!("nothing can have happened: {other:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(ended, WatchError::Unavailable { .. }), "{ended}");
    server.start_again().await;
    let second = append(&store, &one(&engine, 1)).await;
    reader.resume(&store);
    reader.follow(&store, second.revision).await;
    assert_eq!(reader.index.held(&engine), 2);
}
