//! Checkpoints, and the stream between them.

use std::time::Duration;

use indexer_store::IndexWriter;
use indexer_store_redis::RedisOptions;
use proto_model::Change;

use crate::make::{append, batch, events, message, one, publisher};
use crate::reader::Reader;
use crate::support::{PATIENCE, Server, connect};

fn small(server: &Server) -> RedisOptions {
    let mut options = server.options();
    options.checkpoint.stream_bytes_min = 5_000;
    options.checkpoint.piece_bytes = 1024;
    options.checkpoint.lease = Duration::from_secs(1);
    options
}

async fn meta(server: &Server, field: &str) -> u64 {
    server.ask(&["HGET", "{test}:meta", field]).await
}

/// Waits until the condition on a number in the meta key holds.
async fn until(server: &Server, field: &str, holds: impl Fn(u64) -> bool) {
    let begun = tokio::time::Instant::now();
    while !holds(meta(server, field).await) {
        assert!(begun.elapsed() < PATIENCE, "{field} does not come there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// While batches come, checkpoints are written, the stream is trimmed and old
/// pieces go; who comes late reads a checkpoint and the rest, and knows the same
/// as who was there all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_under_load_lose_nothing_and_leave_nothing() {
    let server = Server::start().await;
    let store = connect(small(&server)).await;
    let mut early = Reader::new(&store);
    early.step().await.expect("the follower begins");
    let mut last = None;
    for sequence in 0..810 {
        // Caches are cleared now and then, so that checkpoints stay small and many.
        let mut message = message(sequence, 4);
        if sequence % 20 == 19 {
            message.changes = vec![Change::Cleared { medium: None }];
        }
        let commands = (0..4).map(|n| events(&publisher(n, 0), vec![message.clone()]));
        last = Some(append(&store, &batch(commands.collect())).await.revision);
        if sequence % 200 == 50 {
            let late = connect(small(&server)).await;
            let mut reader = Reader::new(&late);
            reader.follow(&late, last.expect("appended")).await;
            assert_eq!(reader.snapshots, 1, "one is enough");
        }
    }
    let last = last.expect("appended");
    early.follow(&store, last).await;
    until(&server, "cp", |number| number >= 2).await;
    let late = connect(small(&server)).await;
    let mut reader = Reader::new(&late);
    reader.follow(&late, last).await;
    assert_eq!(reader.index, early.index);
    assert_eq!(reader.index.held(&publisher(3, 0)), 40);
    let entries: u64 = server.ask(&["XLEN", "{test}:stream"]).await;
    assert!(entries < 810, "the stream was trimmed; {entries} are left");
    drop((store, late));
    let (number, pieces) = (meta(&server, "cp").await, meta(&server, "cp_pieces").await);
    assert!(pieces > 1, "{pieces} pieces are too few to see anything");
    let all: Vec<String> = server.ask(&["KEYS", "*checkpoint*"]).await;
    let mut kept = 0;
    for key in &all {
        let lasting: i64 = server.ask(&["TTL", key]).await;
        kept += u64::from(lasting == -1);
    }
    assert_eq!(kept, pieces, "only checkpoint {number} lasts: {all:?}");
}

/// Without checkpoints the stream grows only so far: nothing is trimmed that no
/// checkpoint holds; appends are refused, with the reason, until there is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_stream_refuses_rather_than_forgets() {
    let server = Server::start().await;
    let mut options = small(&server);
    options.batch_bytes_max = 50_000;
    options.checkpoint.stream_bytes_max = 70_000;
    let store = connect(options).await;
    // Another process has the lease and hangs.
    let mut hold = vec!["SET", "{test}:lease", "another"];
    hold.extend(["PX", "600000"]);
    server.ask::<()>(&hold).await;
    let engine = publisher(1, 0);
    let mut sequence = 0;
    let refused = loop {
        let next = batch(vec![events(&engine, vec![message(sequence, 100)])]);
        match store.append(&next).await {
            Ok(_) => sequence += 1,
            Err(error) => break error,
        }
        assert!(sequence < 10_000, "it has no end");
    };
    assert!(refused.retryable());
    let said = refused.to_string();
    assert!(said.contains("stream_bytes_max"), "{said}");
    assert_eq!(meta(&server, "cp").await, 0);
    server.ask::<()>(&["DEL", "{test}:lease"]).await;
    // Nobody watches: the writer itself has begun to follow.
    let next = append(
        &store,
        &batch(vec![events(&engine, vec![message(sequence, 100)])]),
    )
    .await;
    assert_eq!(next.outcomes[0].applied, 1);
    let mut reader = Reader::new(&store);
    reader.follow(&store, next.revision).await;
    let blocks = usize::try_from(100 * (sequence + 1)).expect("few");
    assert_eq!(reader.index.held(&engine), blocks);
}

/// A checkpoint of an epoch that is over does not come into force, and one of a
/// process that lost the lease neither; both are seen by what is in force later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_older_redis_came_back_checkpoints_are_of_what_it_has() {
    let mut server = Server::start().await;
    let store = connect(small(&server)).await;
    let (engine, mut reader) = (publisher(1, 0), Reader::new(&store));
    let first = append(&store, &one(&engine, 0)).await;
    reader.follow(&store, first.revision).await;
    server.ask::<()>(&["SAVE"]).await;
    for sequence in 1..100 {
        append(
            &store,
            &batch(vec![events(&engine, vec![message(sequence, 50)])]),
        )
        .await;
    }
    until(&server, "cp", |number| number > 0).await;
    server.start_again().await;
    let gap = append(&store, &one(&engine, 100)).await;
    assert_eq!(gap.outcomes[0].gap.map(|gap| gap.expected), Some(1));
    let mut last = gap.revision;
    for sequence in 1..100 {
        let again = batch(vec![events(&engine, vec![message(sequence, 50)])]);
        last = append(&store, &again).await.revision;
    }
    until(&server, "cp", |number| number > 0).await;
    reader.follow(&store, last).await;
    let late = connect(small(&server)).await;
    let mut fresh = Reader::new(&late);
    fresh.follow(&late, last).await;
    assert_eq!(fresh.index, reader.index);
    assert_eq!(fresh.index.held(&engine), 1 + 99 * 50);
}

/// A checkpoint with a piece missing is not loaded, and why is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_piece_is_said_not_skipped() {
    let server = Server::start().await;
    let store = connect(small(&server)).await;
    let engine = publisher(1, 0);
    let mut reader = Reader::new(&store);
    for sequence in 0..60 {
        let next = batch(vec![events(&engine, vec![message(sequence, 50)])]);
        let revision = append(&store, &next).await.revision;
        reader.follow(&store, revision).await;
    }
    until(&server, "cp", |number| number > 0).await;
    drop((reader, store));
    let number = meta(&server, "cp").await;
    let piece = format!("{{test}}:checkpoint:{number}:1");
    let deleted: u64 = server.ask(&["DEL", &piece]).await;
    assert_eq!(deleted, 1);
    let mut options = small(&server);
    options.load_timeout = Duration::from_secs(2);
    let late = connect(options).await;
    let error = Reader::new(&late)
        .step()
        .await
        .expect_err("it is not whole");
    assert!(error.to_string().contains("piece 1"), "{error}");
}
