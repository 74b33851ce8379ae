//! Cases with several ingestors of the same streams.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use indexer_state::{State, StateLimits};
use proto_model::{Batch, Command, Revision};

use super::fleet::{Fleet, Places};
use super::ingestor::Ingestor;
use super::make::{batch, one, publisher};
use super::patient::append;
use super::random::Random;
use super::reader::Reader;
use super::replica::Replica;
use super::workload::Workload;
use crate::seam::{IndexWatch, IndexWriter};

/// Ingestors that receive the same streams, repeat themselves and run ahead come
/// to what one careful writer comes to, through all restarts of the engines; and
/// nobody ever sees a publisher hold what it did not hold at that place.
pub async fn overlapping_ingestors_are_one(store: impl IndexWriter + IndexWatch) {
    let met = deliver(store, Fleet::new(19, 5, 160)).await;
    assert!(met.gaps > 0, "no ingestor ran ahead");
    assert!(met.duplicates > 0, "no ingestor repeated another");
    assert!(met.stale > 0, "nothing came late");
}

/// The same, where messages are lost to all ingestors: each says so, and it
/// counts once.
pub async fn gaps_given_up_by_several_ingestors_count_once(store: impl IndexWriter + IndexWatch) {
    let mut fleet = Fleet::new(23, 5, 160);
    fleet.lose_some(29);
    let met = deliver(store, fleet).await;
    assert!(met.gaps > 0, "nothing was lost");
}

/// What the ingestors met.
#[derive(Default)]
struct Met {
    gaps: usize,
    duplicates: u32,
    stale: u32,
}

async fn deliver(store: impl IndexWriter + IndexWatch, fleet: Fleet) -> Met {
    let (store, fleet) = (Arc::new(store), Arc::new(fleet));
    let (alone, places) = fleet.alone();
    let (places, end) = (Arc::new(places), Arc::new(OnceLock::new()));
    let reading = |seed| {
        let (store, places, end) = (Arc::clone(&store), Arc::clone(&places), Arc::clone(&end));
        tokio::spawn(read(store, places, end, seed))
    };
    let readers: Vec<_> = [31, 37, 41].map(reading).into_iter().collect();
    let writing = |seed| {
        let (store, fleet) = (Arc::clone(&store), Arc::clone(&fleet));
        tokio::spawn(async move {
            let mut ingestor = Ingestor::new(seed, &fleet);
            ingestor.run(&*store).await;
            Met {
                gaps: ingestor.gaps,
                duplicates: ingestor.duplicates,
                stale: ingestor.stale,
            }
        })
    };
    let writers: Vec<_> = [43, 47, 53].map(writing).into_iter().collect();
    let mut met = Met::default();
    for writer in writers {
        let one = writer.await.expect("an ingestor finishes");
        met.gaps += one.gaps;
        met.duplicates += one.duplicates;
        met.stale += one.stale;
    }
    let last = append(&*store, &batch(vec![])).await.revision;
    end.set(last).expect("set once");
    for reader in readers {
        assert_eq!(reader.await.expect("a reader finishes"), alone);
    }
    met
}

/// Reads to the end, goes away now and then, and checks whatever it sees.
async fn read<S: IndexWatch>(
    store: Arc<S>,
    places: Arc<Places>,
    end: Arc<OnceLock<Revision>>,
    seed: u64,
) -> Replica {
    let mut random = Random::new(seed);
    let mut reader = Reader::new(&*store);
    while end.get().is_none_or(|end| reader.at < Some(*end)) {
        let before = reader.at;
        reader.step_or_resume(&*store).await;
        if reader.at != before {
            places.check(&reader.replica);
            if random.once_in(20) {
                reader.resume(&*store);
            }
        }
    }
    reader.replica
}

/// However many write at a time, no two appends have the same revision, and an
/// append that began after another's answer has a higher one.
pub async fn revisions_of_concurrent_writers_are_unique(store: impl IndexWriter + IndexWatch) {
    let store = Arc::new(store);
    let writing = |number: u32| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut revisions = Vec::new();
            for n in 0..30 {
                // Every third is somebody else's, every fifth is empty.
                let publisher = if n % 3 == 0 { 99 } else { number };
                let some = if n % 5 == 0 {
                    batch(vec![])
                } else {
                    one(publisher, n, n, n)
                };
                revisions.push(append(&*store, &some).await.revision);
            }
            revisions
        })
    };
    let writers: Vec<_> = (0..8).map(writing).collect();
    let mut all = BTreeSet::new();
    for writer in writers {
        let revisions = writer.await.expect("a writer finishes");
        assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
        for revision in revisions {
            assert!(all.insert(revision), "{revision:?} was given twice");
        }
    }
    let last = append(&*store, &batch(vec![])).await.revision;
    assert!(all.last() < Some(&last), "{last:?} is not the last");
}

/// Endpoints that come and go while others work: what was removed is forgotten,
/// and the others are untouched.
pub async fn endpoints_removed_under_load_leave_the_others(store: impl IndexWriter + IndexWatch) {
    let store = Arc::new(store);
    let mut workload = Workload::new(59, 4);
    let stay: Vec<Batch> = (0..150).map(|_| workload.next_batch()).collect();
    let go: Vec<Batch> = (0..60).flat_map(coming_and_going).collect();
    let mut oracle = State::new(StateLimits::default());
    for command in stay.iter().chain(&go).flat_map(|batch| &batch.commands) {
        oracle.apply(command, &mut Vec::new());
    }
    let writing = |batches: Vec<Batch>| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for batch in batches {
                append(&*store, &batch).await;
            }
        })
    };
    let mut early = Reader::new(&*store);
    let writers = [stay, go].map(writing);
    for writer in writers {
        writer.await.expect("a writer finishes");
    }
    let last = append(&*store, &batch(vec![])).await.revision;
    let mut late = Reader::new(&*store);
    for reader in [&mut early, &mut late] {
        reader.follow(&*store, last).await;
        assert_eq!(reader.replica, Replica::of(&oracle));
        assert_eq!(reader.replica.status(&publisher(100)), None);
        assert_eq!(reader.replica.held(&publisher(101)), 1);
    }
}

/// Two endpoints store a block each, and one of them leaves.
fn coming_and_going(round: u64) -> [Batch; 3] {
    let endpoint = publisher(100).endpoint;
    let remove = Command::EndpointRemoved {
        endpoint,
        rank: None,
    };
    // The second stays, but its engine restarts every time.
    let restarted = one(101, 0, (round + 1) * 10_000_000, round);
    [
        one(100, 0, 1 + round, round),
        restarted,
        batch(vec![remove]),
    ]
}
