//! Several writers, lost answers, limits.

use std::sync::Arc;
use std::time::Duration;

use indexer_store::{AppendError, IndexWriter};
use indexer_store_redis::Topology;
use proto_model::{Command, Refusal};

use crate::make::{append, batch, events, message, one, publisher};
use crate::proxy::Proxy;
use crate::reader::Reader;
use crate::support::{Server, connect};

/// Processes that deliver the same messages: each message is applied once, and
/// every batch has a revision of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writers_of_one_stream_each_message_counts_once() {
    const MESSAGES: u64 = 200;
    let server = Server::start().await;
    let mut writers = Vec::new();
    for size in [1, 3] {
        let store = server.store().await;
        writers.push(tokio::spawn(async move {
            let (mut applied, mut revisions) = (0, Vec::new());
            for first in (0..MESSAGES).step_by(size) {
                let until = MESSAGES.min(first + size as u64);
                let messages = || (first..until).map(|n| message(n, 1)).collect();
                let commands = (0..3).map(|n| events(&publisher(n, 0), messages()));
                let appended = append(&store, &batch(commands.collect())).await;
                for outcome in &appended.outcomes {
                    assert_eq!(outcome.gap, None);
                    applied += u64::from(outcome.applied);
                }
                revisions.push(appended.revision);
            }
            (applied, revisions)
        }));
    }
    let (mut applied, mut revisions) = (0, Vec::new());
    for writer in writers {
        let (theirs, their_revisions) = writer.await.expect("it ends");
        applied += theirs;
        revisions.extend(their_revisions);
    }
    assert_eq!(applied, 3 * MESSAGES);
    revisions.sort_unstable();
    let last = revisions[revisions.len() - 1];
    assert!(revisions.windows(2).all(|pair| pair[0] < pair[1]));
    let store = server.store().await;
    let mut reader = Reader::new(&store);
    reader.follow(&store, last).await;
    assert_eq!(reader.index.held(&publisher(2, 0)), 200);
}

/// A writer that never hears what became of its batch appends it again, and it is
/// a duplicate: what the stream then carries is its numbers only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_a_duplicate_when_repeated() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let mut options = server.options();
    options.topology = Topology::Standalone {
        address: proxy.address(),
    };
    options.append_timeout = Duration::from_millis(700);
    let (hindered, engine) = (connect(options).await, publisher(1, 0));
    append(&hindered, &one(&engine, 0)).await;
    proxy.swallow_answers();
    let large = batch(vec![events(&engine, vec![message(1, 1_000)])]);
    let error = hindered.append(&large).await.expect_err("no answer");
    assert!(error.retryable(), "{error}");
    let store = server.store().await;
    let before: u64 = server.ask(&["HGET", "{test}:meta", "total"]).await;
    assert!(before > 3_000, "it was committed");
    let again = append(&store, &large).await;
    let outcome = again.outcomes[0];
    assert_eq!((outcome.applied, outcome.duplicates), (0, 1));
    let after: u64 = server.ask(&["HGET", "{test}:meta", "total"]).await;
    assert!(
        after - before < 200,
        "{} bytes for a duplicate",
        after - before
    );
    let mut reader = Reader::new(&store);
    reader.follow(&store, again.revision).await;
    assert_eq!(reader.index.held(&engine), 1_001);
}

/// The limit on publishers holds for all writers together, and room made by one
/// can be used by another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_on_publishers_holds_for_all_writers_together() {
    let server = Server::start().await;
    let mut options = server.options();
    options.history.limits.publishers = 8;
    let mut writers = Vec::new();
    for n in 0..4 {
        let store = connect(options.clone()).await;
        writers.push(tokio::spawn(async move {
            let (mut taken, mut refused) = (0, 0);
            for rank in 0..4 {
                let appended = append(&store, &one(&publisher(n, rank), 0)).await;
                match appended.outcomes[0].refused {
                    None => taken += 1,
                    Some(Refusal::TooManyPublishers) => refused += 1,
                    Some(other) => panic!("not a reason: {other:?}"),
                }
            }
            (taken, refused)
        }));
    }
    let mut sum = (0, 0);
    for writer in writers {
        let (taken, refused) = writer.await.expect("it ends");
        sum = (sum.0 + taken, sum.1 + refused);
    }
    assert_eq!(sum, (8, 8));
    let store = connect(options).await;
    let gone = (0..4).map(|n| Command::EndpointRemoved {
        endpoint: publisher(n, 0).endpoint,
        rank: None,
    });
    append(&store, &batch(gone.collect())).await;
    let keys: Vec<String> = server.ask(&["KEYS", "*headers*"]).await;
    assert_eq!(keys, Vec::<String>::new());
    let taken = append(&store, &one(&publisher(9, 0), 0)).await;
    assert_eq!(taken.outcomes[0].refused, None);
    let mut reader = Reader::new(&store);
    reader.follow(&store, taken.revision).await;
    assert_eq!(reader.index.held(&publisher(9, 0)), 1);
    assert_eq!(reader.index.cursor(&publisher(0, 0)), None);
}

/// One rank can go while the others stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rank_is_removed_alone() {
    let server = Server::start().await;
    let store = server.store().await;
    for rank in 0..3 {
        append(&store, &one(&publisher(1, rank), 0)).await;
    }
    let removed = Command::EndpointRemoved {
        endpoint: publisher(1, 0).endpoint,
        rank: Some(proto_model::Rank(1)),
    };
    // In one batch with what comes back at once.
    let both = batch(vec![removed, events(&publisher(1, 1), vec![message(1, 1)])]);
    let appended = append(&store, &both).await;
    assert!(appended.outcomes[1].gap.is_some(), "it is a stranger");
    let other = server.store().await;
    let next = append(&other, &one(&publisher(1, 2), 1)).await;
    assert_eq!(next.outcomes[0].applied, 1);
    let mut reader = Reader::new(&other);
    reader.follow(&other, next.revision).await;
    let held = [0, 1, 2].map(|rank| reader.index.held(&publisher(1, rank)));
    assert_eq!(held, [1, 0, 2]);
}

/// A store that was closed takes nothing and ends its watches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_store_says_so() {
    let server = Server::start().await;
    let store = server.store().await;
    let appended = append(&store, &one(&publisher(1, 0), 0)).await;
    let mut reader = Reader::new(&store);
    reader.follow(&store, appended.revision).await;
    Arc::clone(&store).close();
    let error = store.append(&one(&publisher(1, 0), 1)).await;
    let error = error.expect_err("it is closed");
    assert!(matches!(error, AppendError::Closed { .. }), "{error}");
    let ended = loop {
        if let Err(error) = reader.step().await {
            break error;
        }
    };
    assert!(!ended.retryable(), "{ended}");
}
