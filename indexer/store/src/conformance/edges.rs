//! Cases about what is rare: large batches, resets, losses, parked blocks.

use std::sync::Arc;

use proto_model::{Batch, Change, Command, Incarnation, Medium, Publisher, Trust};

use super::make::{batch, events, message, one, publisher, stored};
use super::patient::append;
use super::reader::Reader;
use crate::seam::{AppendError, IndexWatch, IndexWriter};
use crate::weight::batch_weight;

/// A batch just below the limit is taken whole, arrives whole, and so does what
/// a small command makes of it.
pub async fn a_batch_near_the_limit_arrives_whole(store: impl IndexWriter + IndexWatch) {
    let large = |blocks: u64| {
        let hashes: Vec<u64> = (0..blocks).collect();
        batch(vec![events(
            &publisher(1),
            vec![message(0, 1, vec![stored(None, &hashes)])],
        )])
    };
    let Err(AppendError::TooLarge { limit, .. }) = store.append(&large(8_000_000)).await else {
        panic!("8,000,000 blocks are too many")
    };
    let each = batch_weight(&large(1_001)) - batch_weight(&large(1));
    let blocks = (limit - limit / 64) as u64 * 1_000 / each as u64;
    let near = large(blocks);
    assert!(batch_weight(&near) <= limit);
    let mut live = Reader::new(&store);
    let appended = append(&store, &near).await;
    live.follow(&store, appended.revision).await;
    let held = usize::try_from(blocks).expect("it fits into memory");
    assert_eq!(live.replica.held(&publisher(1)), held);
    // With a copy elsewhere the cache is not empty, so keys are taken back.
    let changes = vec![
        Change::StoredByHash {
            space: 0,
            medium: Medium::Cpu,
            group: 0,
            hashes: vec![proto_model::EngineHash(0)],
        },
        Change::Cleared {
            medium: Some(Medium::Gpu),
        },
    ];
    let clear = batch(vec![events(&publisher(1), vec![message(1, 2, changes)])]);
    let cleared = append(&store, &clear).await.revision;
    let mut late = Reader::new(&store);
    for reader in [&mut live, &mut late] {
        reader.follow(&store, cleared).await;
        assert_eq!(reader.replica.held(&publisher(1)), 1);
    }
    assert_eq!(live.replica, late.replica);
}

/// A reset that several writers ask for happens once; asked for again it does
/// nothing; and then older clocks are believed.
pub async fn a_reset_happens_once(store: impl IndexWriter + IndexWatch) {
    let store = Arc::new(store);
    append(&*store, &one(1, 0, 5_000_000_000, 1)).await;
    let reset = batch(vec![Command::Reset {
        publisher: publisher(1),
        incarnation: Incarnation(1),
    }]);
    let asking = |_| {
        let (store, reset) = (Arc::clone(&store), reset.clone());
        tokio::spawn(async move { append(&*store, &reset).await })
    };
    let asked: Vec<_> = (0..4).map(asking).collect();
    for task in asked {
        let appended = task.await.expect("a writer finishes");
        let cursor = appended.outcomes[0].cursor.expect("it is known");
        assert_eq!((cursor.incarnation, cursor.next), (Incarnation(2), 0));
    }
    let back = append(&*store, &one(1, 0, 7, 2)).await;
    assert_eq!(back.outcomes[0].applied, 1);
    let late = append(&*store, &reset).await;
    let mut reader = Reader::new(&*store);
    reader.follow(&*store, late.revision).await;
    let status = reader.replica.status(&publisher(1)).expect("it is known");
    assert_eq!(
        (status.cursor.incarnation, status.cursor.next),
        (Incarnation(2), 1)
    );
    assert_eq!(reader.replica.held(&publisher(1)), 1);
}

/// A loss is said by trust and count, once; what arrives after all is a
/// duplicate, and what follows is applied.
pub async fn a_gap_given_up_is_told(store: impl IndexWriter + IndexWatch) {
    let give_up = |number: u32, incarnation, next| {
        batch(vec![Command::Gap {
            publisher: publisher(number),
            incarnation,
            next,
        }])
    };
    append(&store, &one(1, 0, 1, 1)).await;
    let beyond = append(&store, &one(1, 4, 5, 5)).await.outcomes[0];
    let incarnation = beyond.cursor.map(|cursor| cursor.incarnation);
    let known = give_up(1, incarnation, 4);
    append(&store, &known).await;
    append(&store, &known).await;
    append(&store, &one(1, 4, 5, 5)).await;
    let late = append(&store, &one(1, 2, 3, 3)).await.outcomes[0];
    assert_eq!((late.applied, late.duplicates), (0, 1));
    // A stranger, met in the middle.
    let stranger = append(&store, &one(2, 9, 9, 9)).await.outcomes[0];
    assert_eq!(stranger.cursor, None);
    append(&store, &give_up(2, None, 9)).await;
    let last = append(&store, &one(2, 9, 9, 9)).await.revision;
    let mut reader = Reader::new(&store);
    reader.follow(&store, last).await;
    let told = |number| {
        let status = reader
            .replica
            .status(&publisher(number))
            .expect("it is known");
        (status.cursor.trust, status.cursor.next, status.lost)
    };
    assert_eq!(told(1), (Trust::Suspect, 5, 3));
    assert_eq!(told(2), (Trust::Partial, 10, 9));
    assert_eq!(reader.replica.held(&publisher(1)), 2);
    assert_eq!(reader.replica.held(&publisher(2)), 1);
}

/// Blocks whose parent is not known are counted and not listed; when it comes,
/// they are listed with it, in the same revision.
pub async fn parked_blocks_come_with_their_parent(store: impl IndexWriter + IndexWatch) {
    let name = publisher(1);
    let mut reader = Reader::new(&store);
    let children = [(0, Some(10), [11]), (1, Some(11), [12])];
    for (sequence, parent, hashes) in children {
        let parked = message(sequence, sequence + 1, vec![stored(parent, &hashes)]);
        let revision = append(&store, &single(&name, parked)).await.revision;
        reader.follow(&store, revision).await;
        let status = reader.replica.status(&name).expect("it is known");
        assert_eq!(
            (status.parked, status.cursor.trust),
            (sequence + 1, Trust::Exact)
        );
        assert_eq!(reader.replica.held(&name), 0);
    }
    let parent = message(2, 3, vec![stored(None, &[10])]);
    let listed = append(&store, &single(&name, parent)).await.revision;
    reader.follow(&store, listed).await;
    let mut fresh = Reader::new(&store);
    fresh.follow(&store, listed).await;
    assert_eq!(reader.replica.held(&name), 3);
    assert_eq!(
        reader.replica.status(&name).map(|status| status.parked),
        Some(0)
    );
    assert_eq!(reader.replica, fresh.replica);
}

fn single(publisher: &Publisher, message: proto_model::Message) -> Batch {
    batch(vec![events(publisher, vec![message])])
}
