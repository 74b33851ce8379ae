//! Cases with several writers and readers at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use indexer_state::{State, StateLimits};
use parking_lot::Mutex;
use proto_model::{Batch, Revision};

use super::reader::Reader;
use super::replica::Replica;
use super::workload::Workload;
use crate::seam::{IndexWatch, IndexWriter};

/// Several writers that deliver the same streams, each at its own pace and in its
/// own batches, come to what one writer comes to.
pub async fn several_writers_of_one_stream_are_one(store: impl IndexWriter + IndexWatch) {
    let store = Arc::new(store);
    let mut workload = Workload::new(11, 4);
    let batches: Arc<Vec<Batch>> = Arc::new((0..200).map(|_| workload.next_batch()).collect());
    let mut writers = Vec::new();
    for size in [1, 3, 7] {
        let (store, batches) = (Arc::clone(&store), Arc::clone(&batches));
        writers.push(tokio::spawn(async move {
            let mut last = Revision(0);
            for some in batches.chunks(size) {
                let commands = some
                    .iter()
                    .flat_map(|batch| batch.commands.clone())
                    .collect();
                let appended = store.append(&Batch { commands }).await.expect("appended");
                assert!(
                    appended
                        .outcomes
                        .iter()
                        .all(|outcome| outcome.gap.is_none())
                );
                assert!(appended.revision > last);
                last = appended.revision;
                tokio::task::yield_now().await;
            }
            last
        }));
    }
    let mut revision = Revision(0);
    for writer in writers {
        revision = revision.max(writer.await.expect("a writer finishes"));
    }
    let mut oracle = State::new(StateLimits::default());
    for command in batches.iter().flat_map(|batch| &batch.commands) {
        oracle.apply(command, &mut Vec::new());
    }
    let mut reader = Reader::new(&*store);
    reader.follow(&*store, revision).await;
    assert_eq!(reader.replica, Replica::of(&oracle));
}

/// While a writer writes, readers come, read a snapshot and go on: at every
/// position that a reader reaches, its replica is what the writer's own state
/// was there.
pub async fn readers_under_load_see_every_revision_as_it_was(store: impl IndexWriter + IndexWatch) {
    const BATCHES: usize = 600;
    let store = Arc::new(store);
    let history = Arc::new(Mutex::new(BTreeMap::<Revision, Replica>::new()));
    let mut workload = Workload::new(13, 6).with_routes();
    let mut oracle = State::new(StateLimits::default());
    let mut replica = Replica::default();
    let end = Arc::new(OnceLock::new());
    let mut readers = Vec::new();
    for count in 0..BATCHES {
        let batch = workload.next_batch();
        let mut deltas = Vec::new();
        for command in &batch.commands {
            oracle.apply(command, &mut deltas);
        }
        deltas.iter().for_each(|delta| replica.apply(delta));
        let revision = store.append(&batch).await.expect("appended").revision;
        history.lock().insert(revision, replica.clone());
        if count % 60 == 0 {
            readers.push(tokio::spawn(read_all(Arc::clone(&store), Arc::clone(&end))));
        }
    }
    let last = *history.lock().last_key_value().expect("batches").0;
    end.set(last).expect("set once");
    for reader in readers {
        let seen = reader.await.expect("a reader finishes");
        assert_eq!(
            seen.last_key_value().map(|(revision, _)| *revision),
            Some(last)
        );
        for (revision, replica) in seen {
            let history = history.lock();
            // A node that follows may not have had the first batch yet.
            let first = *history.first_key_value().expect("batches").0;
            if revision < first {
                assert_eq!(replica, Replica::default(), "at {revision:?}");
                continue;
            }
            let was = history
                .get(&revision)
                .unwrap_or_else(|| panic!("{revision:?} is nobody's"));
            assert_eq!(&replica, was, "at {revision:?}");
        }
    }
}

/// Reads to the end, once it is known, and keeps what was seen on the way.
async fn read_all<S: IndexWatch>(
    store: Arc<S>,
    end: Arc<OnceLock<Revision>>,
) -> BTreeMap<Revision, Replica> {
    let mut reader = Reader::new(&*store);
    let mut seen = BTreeMap::new();
    // A heartbeat wakes the reader that was there before the end was known.
    while end.get().is_none_or(|end| reader.at < Some(*end)) {
        let before = reader.at;
        match reader.step().await {
            Ok(()) => {}
            Err(error) if error.retryable() => reader.resume(&*store),
            Err(error) => panic!("a watch ended for good: {error}"),
        }
        if reader.at != before {
            seen.extend(reader.at.map(|at| (at, reader.replica.clone())));
        }
    }
    seen
}

/// A reader that does not read holds nobody up. When it wakes it either goes on
/// or is told that it lagged, and then a new watch brings it to where all are.
pub async fn a_reader_that_sleeps_delays_nobody(store: impl IndexWriter + IndexWatch) {
    let mut workload = Workload::new(17, 5).with_routes();
    let first = store
        .append(&workload.next_batch())
        .await
        .expect("appended")
        .revision;
    let mut live = Reader::new(&store);
    live.follow(&store, first).await;
    let mut within_snapshot = Reader::new(&store);
    within_snapshot
        .step()
        .await
        .expect("the beginning of a snapshot");
    let mut revision = first;
    for _ in 0..400 {
        revision = store
            .append(&workload.next_batches(5))
            .await
            .expect("appended")
            .revision;
    }
    let mut fresh = Reader::new(&store);
    fresh.follow(&store, revision).await;
    for mut sleeper in [live, within_snapshot] {
        sleeper.follow(&store, revision).await;
        assert_eq!(sleeper.replica, fresh.replica);
    }
}
