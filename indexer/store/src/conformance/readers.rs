//! Cases with many readers at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use indexer_state::{State, StateLimits};
use parking_lot::Mutex;
use proto_model::{Batch, Revision};

use super::make::{batch, events, message, publisher, stored};
use super::patient::append;
use super::reader::Reader;
use super::replica::Replica;
use super::workload::Workload;
use crate::seam::{IndexWatch, IndexWriter};

/// What readers would see after each append.
type Past = Arc<Mutex<BTreeMap<Revision, Replica>>>;

/// Snapshots of many pieces, taken again and again by several readers while
/// others write: each is the state at its revision, and so is what follows.
pub async fn snapshots_under_load_are_of_one_moment(store: impl IndexWriter + IndexWatch) {
    let (store, past) = (Arc::new(store), Past::default());
    let end = Arc::new(OnceLock::new());
    let mut state = (State::new(StateLimits::default()), Replica::default());
    for number in 50..53 {
        record(&*store, &past, &mut state, &many_blocks(number)).await;
    }
    let reading = |_| {
        let (store, end) = (Arc::clone(&store), Arc::clone(&end));
        tokio::spawn(take_snapshots(store, end))
    };
    let readers: Vec<_> = (0..4).map(reading).collect();
    let mut workload = Workload::new(61, 6).with_routes();
    for _ in 0..200 {
        record(&*store, &past, &mut state, &workload.next_batch()).await;
    }
    let last = *past.lock().last_key_value().expect("appended").0;
    end.set(last).expect("set once");
    for reader in readers {
        let seen = reader.await.expect("a reader finishes");
        let (revision, replica) = seen.last().expect("a snapshot at least");
        assert!(*revision >= last);
        assert!(replica.held(&publisher(50)) >= 5_000);
        for (revision, replica) in seen {
            let past = past.lock();
            // A node that follows may not have had the first batch yet.
            if past
                .first_key_value()
                .is_some_and(|(first, _)| revision < *first)
            {
                assert_eq!(replica, Replica::default(), "at {revision:?}");
                continue;
            }
            let was = past.get(&revision);
            let was = was.unwrap_or_else(|| panic!("{revision:?} is nobody's"));
            assert_eq!(&replica, was, "at {revision:?}");
        }
    }
}

/// Readers go on from every place of the stream, at the same time, and come to
/// where the one is that never went away; none needs a snapshot.
pub async fn watches_resumed_from_everywhere_meet(store: impl IndexWriter + IndexWatch) {
    let store = Arc::new(store);
    let mut workload = Workload::new(67, 5).with_routes();
    let mut reader = Reader::new(&*store);
    let mut places = Vec::new();
    let mut last = Revision(0);
    for count in 0..160 {
        last = append(&*store, &workload.next_batch()).await.revision;
        if count % 4 == 0 {
            reader.follow(&*store, last).await;
            places.push((last, reader.replica.clone()));
        }
    }
    let resumed = places.into_iter().map(|(at, replica)| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut reader = Reader::resumed(&*store, at, replica);
            reader.follow(&*store, last).await;
            reader
        })
    });
    // More is written while they read.
    let resumed: Vec<_> = resumed.collect();
    let later = append(&*store, &workload.next_batch()).await.revision;
    assert!(later > last);
    reader.follow(&*store, later).await;
    for task in resumed {
        let mut resumed = task.await.expect("a reader finishes");
        // Some have jumped to the later one already.
        resumed.follow(&*store, later).await;
        assert_eq!(resumed.snapshots, 0);
        assert!(
            resumed.replica == reader.replica,
            "from another place, another end"
        );
    }
}

async fn record(
    store: &impl IndexWriter,
    past: &Past,
    (state, replica): &mut (State, Replica),
    batch: &Batch,
) {
    let mut deltas = Vec::new();
    for command in &batch.commands {
        state.apply(command, &mut deltas);
    }
    deltas.iter().for_each(|delta| replica.apply(delta));
    let revision = append(store, batch).await.revision;
    past.lock().insert(revision, replica.clone());
}

/// A publisher whose blocks fill several pieces of a snapshot.
fn many_blocks(number: u32) -> Batch {
    let hashes: Vec<u64> = (0..5_000).map(|n| u64::from(number) << 32 | n).collect();
    let changes = vec![stored(None, &hashes)];
    batch(vec![events(
        &publisher(number),
        vec![message(0, 1, changes)],
    )])
}

/// One snapshot after another, each with a few changes after it, to the end.
async fn take_snapshots<S: IndexWatch>(
    store: Arc<S>,
    end: Arc<OnceLock<Revision>>,
) -> Vec<(Revision, Replica)> {
    const CHANGES: usize = 5;
    let mut seen = Vec::new();
    loop {
        let mut reader = Reader::new(&*store);
        if let Some(end) = end.get() {
            reader.follow(&*store, *end).await;
            seen.extend(reader.at.map(|at| (at, reader.replica)));
            return seen;
        }
        while reader.changes < CHANGES && reader.heartbeats == 0 {
            let before = reader.at;
            reader.step_or_resume(&*store).await;
            if reader.at != before {
                seen.extend(reader.at.map(|at| (at, reader.replica.clone())));
            }
        }
    }
}
