//! Cases about writing.

use proto_model::{Command, Incarnation, SequenceGap, Trust};

use super::make::{batch, events, message, one, publisher, stored};
use super::reader::Reader;
use crate::seam::{AppendError, IndexWatch, IndexWriter};

/// A batch has one outcome per command, in its order, each as if the commands
/// before it had been applied, and the revision is one that watchers reach.
pub async fn outcomes_follow_commands(store: impl IndexWriter + IndexWatch) {
    let (first, second) = (publisher(1), publisher(2));
    let commands = vec![
        events(
            &first,
            vec![
                message(0, 1, vec![stored(None, &[1, 2])]),
                message(1, 2, vec![]),
            ],
        ),
        Command::Gap {
            publisher: second.clone(),
            incarnation: None,
            next: 5,
        },
        events(&second, vec![message(5, 9, vec![stored(None, &[7])])]),
        events(&first, vec![message(1, 2, vec![]), message(3, 4, vec![])]),
    ];
    let appended = store.append(&batch(commands)).await.expect("appended");
    let [one, gap, two, three] = appended.outcomes[..] else {
        panic!("four outcomes")
    };
    assert_eq!(
        (one.applied, one.cursor.map(|c| (c.next, c.trust))),
        (2, Some((2, Trust::Exact)))
    );
    assert_eq!(
        gap.cursor.map(|c| (c.next, c.trust)),
        Some((5, Trust::Partial))
    );
    assert_eq!((two.applied, two.cursor.map(|c| c.next)), (1, Some(6)));
    assert_eq!((three.applied, three.duplicates), (0, 1));
    assert_eq!(
        three.gap,
        Some(SequenceGap {
            expected: 2,
            found: 3
        })
    );
    let mut reader = Reader::new(&store);
    reader.follow(&store, appended.revision).await;
    assert_eq!(
        (reader.replica.held(&first), reader.replica.held(&second)),
        (2, 1)
    );
    assert_eq!(
        reader.replica.status(&second).map(|status| status.lost),
        Some(5)
    );
}

/// Every append has a revision of its own, above all earlier ones, even if it
/// changes nothing.
pub async fn revisions_grow_with_every_append(store: impl IndexWriter + IndexWatch) {
    let mut last = None;
    for number in [0, 1, 1, 2, 2, 3] {
        let appended = store
            .append(&one(1, number, number, number))
            .await
            .expect("appended");
        assert!(
            last < Some(appended.revision),
            "{last:?}, then {:?}",
            appended.revision
        );
        last = Some(appended.revision);
    }
    let empty = store.append(&batch(vec![])).await.expect("appended");
    assert!(last < Some(empty.revision));
}

/// The same batch again is all duplicates, and readers see no difference.
pub async fn a_batch_appended_again_changes_nothing(store: impl IndexWriter + IndexWatch) {
    let messages = (0..20)
        .map(|n| message(n, n, vec![stored(n.checked_sub(1), &[n])]))
        .collect();
    let batch = batch(vec![events(&publisher(1), messages)]);
    let first = store.append(&batch).await.expect("appended");
    let mut reader = Reader::new(&store);
    reader.follow(&store, first.revision).await;
    let before = reader.replica.clone();
    let second = store.append(&batch).await.expect("appended");
    assert_eq!(
        (second.outcomes[0].applied, second.outcomes[0].duplicates),
        (0, 20)
    );
    assert_eq!(second.outcomes[0].cursor, first.outcomes[0].cursor);
    reader.follow(&store, second.revision).await;
    assert_eq!(reader.replica, before);
}

/// What lies beyond a hole is not applied; once the hole is filled, it is.
pub async fn a_gap_is_reported_and_filled(store: impl IndexWriter + IndexWatch) {
    store.append(&one(1, 0, 1, 1)).await.expect("appended");
    let beyond = store
        .append(&one(1, 2, 3, 3))
        .await
        .expect("appended")
        .outcomes[0];
    assert_eq!(
        (beyond.applied, beyond.gap),
        (
            0,
            Some(SequenceGap {
                expected: 1,
                found: 2
            })
        )
    );
    store.append(&one(1, 1, 2, 2)).await.expect("appended");
    let again = store.append(&one(1, 2, 3, 3)).await.expect("appended");
    assert_eq!(
        (again.outcomes[0].applied, again.outcomes[0].gap),
        (1, None)
    );
    let mut reader = Reader::new(&store);
    reader.follow(&store, again.revision).await;
    assert_eq!(reader.replica.held(&publisher(1)), 3);
    let trust = reader
        .replica
        .status(&publisher(1))
        .map(|status| status.cursor.trust);
    assert_eq!(trust, Some(Trust::Exact));
}

/// A new incarnation ends the old one's memberships in the same revision, and
/// nothing of the old one comes back.
pub async fn a_restart_ends_what_was_held(store: impl IndexWriter + IndexWatch) {
    for n in 0..3 {
        store
            .append(&one(1, n, 100 + n, n))
            .await
            .expect("appended");
    }
    let restart = store.append(&one(1, 0, 200, 50)).await.expect("appended");
    assert!(restart.outcomes[0].restarted);
    let late = store.append(&one(1, 3, 103, 3)).await.expect("appended");
    assert_eq!(late.outcomes[0].stale, 1);
    let mut reader = Reader::new(&store);
    reader.follow(&store, late.revision).await;
    assert_eq!(reader.replica.held(&publisher(1)), 1);
    let status = reader
        .replica
        .status(&publisher(1))
        .map(|status| status.cursor.incarnation);
    assert_eq!(status, Some(Incarnation(2)));
}

/// A batch beyond the limit is refused for good, and none of it is applied.
pub async fn a_too_large_batch_changes_nothing(store: impl IndexWriter + IndexWatch) {
    let before = store
        .append(&one(1, 0, 1, 1))
        .await
        .expect("appended")
        .revision;
    let hashes: Vec<u64> = (0..8_000_000).collect();
    let large = batch(vec![events(
        &publisher(1),
        vec![message(1, 2, vec![stored(None, &hashes)])],
    )]);
    let error = store
        .append(&large)
        .await
        .expect_err("16 bytes times 8,000,000 are too many");
    assert!(
        matches!(error, AppendError::TooLarge { bytes, limit } if bytes > limit),
        "{error}"
    );
    assert!(!error.retryable());
    let mut reader = Reader::new(&store);
    reader.follow(&store, before).await;
    assert_eq!(reader.replica.held(&publisher(1)), 1);
}

/// A removed endpoint leaves nothing behind, and may come back as a stranger.
pub async fn removed_endpoints_are_forgotten(store: impl IndexWriter + IndexWatch) {
    let mut reader = Reader::new(&store);
    for number in [1, 2] {
        store.append(&one(number, 0, 1, 1)).await.expect("appended");
    }
    let endpoint = publisher(1).endpoint;
    let remove = batch(vec![Command::EndpointRemoved {
        endpoint,
        rank: None,
    }]);
    let removed = store.append(&remove).await.expect("appended");
    reader.follow(&store, removed.revision).await;
    assert_eq!(reader.replica.status(&publisher(1)), None);
    assert_eq!(reader.replica.held(&publisher(2)), 1);
    let back = store.append(&one(1, 1, 2, 2)).await.expect("appended");
    assert_eq!(
        back.outcomes[0].gap,
        Some(SequenceGap {
            expected: 0,
            found: 1
        })
    );
    assert_eq!(back.outcomes[0].cursor, None);
}
