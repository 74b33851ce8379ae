//! What histories promise beyond the seams.

use std::time::Duration;

use futures::StreamExt;
use indexer_state::{State, StateLimits};
use indexer_store::{AppendError, History, HistoryOptions, WatchError, WatchItem, WatchStream};
use proto_model::{Batch, Command, Delta, Endpoint, Incarnation, Publisher, Rank, Revision};

/// After this a test is taken to hang.
const PATIENCE: Duration = Duration::from_secs(60);

fn history(revision: u64) -> History {
    let options = HistoryOptions {
        heartbeat: Duration::from_millis(20),
        ..HistoryOptions::default()
    };
    History::new(
        State::new(StateLimits::default()),
        Revision(revision),
        options,
    )
}

fn publisher(number: u8) -> Publisher {
    let endpoint = Endpoint::new("history", &format!("10.0.0.{number}:8000"));
    Publisher {
        endpoint: endpoint.expect("a valid address"),
        rank: Rank(0),
    }
}

/// A publisher becomes known: the smallest change that readers see.
fn batch(number: u8) -> Batch {
    Batch {
        commands: vec![Command::Gap {
            publisher: publisher(number),
            incarnation: None,
            next: 5,
        }],
    }
}

async fn next(stream: &mut WatchStream) -> Result<WatchItem, WatchError> {
    let item = tokio::time::timeout(PATIENCE, stream.next()).await;
    item.expect("a watch is never silent")
        .expect("a watch ends with an error")
}

/// The publishers that a new reader learns of, and where it then stands.
async fn read(history: &History, after: Option<Revision>) -> (Vec<Publisher>, Revision) {
    let (mut stream, mut names) = (history.watch(after), Vec::new());
    loop {
        let deltas = match next(&mut stream).await.expect("an item") {
            WatchItem::SnapshotBegin => continue,
            WatchItem::Snapshot(deltas) => deltas,
            WatchItem::SnapshotEnd(at) => return (names, at),
            WatchItem::Deltas {
                revision, deltas, ..
            } => {
                assert!(after < Some(revision));
                deltas
            }
            WatchItem::Heartbeat { revision, .. } => return (names, revision),
        };
        names.extend(deltas.iter().filter_map(|delta| match delta {
            Delta::Status(status) => Some(status.publisher.clone()),
            _ => None,
        }));
    }
}

#[tokio::test]
async fn equal_batches_give_equal_states_at_equal_revisions() {
    let (one, two) = (history(7), history(7));
    for number in [1, 2, 1, 3] {
        let outcomes = [&one, &two].map(|each| each.apply(&batch(number)).expect("open"));
        assert_eq!(outcomes[0], outcomes[1]);
    }
    assert_eq!(
        (one.revision(), two.revision()),
        (Revision(11), Revision(11))
    );
    let images = [&one, &two].map(|each| each.state().1.image().collect::<Vec<_>>());
    assert_eq!(images[0], images[1]);
    assert_eq!(one.stats().batches, 4);
}

#[tokio::test]
async fn a_replaced_state_makes_watchers_start_anew() {
    let (node, leader) = (history(100), history(100));
    node.apply(&batch(1)).expect("open");
    let mut behind = node.watch(Some(Revision(101)));
    let waiting = next(&mut behind).await.expect("at the head");
    assert!(matches!(
        waiting,
        WatchItem::Heartbeat {
            revision: Revision(101),
            ..
        }
    ));
    for number in 1..=4 {
        leader.apply(&batch(number)).expect("open");
    }
    let (revision, state) = leader.state();
    node.replace(state, revision);
    assert_eq!(
        (node.revision(), node.stats().resumable),
        (revision, revision)
    );
    // What was between is not known here, so there is nothing to go on with.
    let lagged = loop {
        match next(&mut behind).await {
            Ok(WatchItem::Heartbeat { .. }) => {}
            other => break other,
        }
    };
    let Err(error) = lagged else {
        panic!("went on with {lagged:?}")
    };
    assert!(
        matches!(error, WatchError::Lagged { at: Revision(101) }),
        "{error}"
    );
    assert!(error.retryable());
    let all = (1..=4).map(publisher).collect::<Vec<_>>();
    assert_eq!(
        read(&node, Some(Revision(101))).await,
        (all.clone(), revision)
    );
    assert_eq!(read(&node, None).await, (all, revision));
    // Who stands at the new place goes on, and both histories go on alike.
    let appended = node.apply(&batch(5)).expect("open");
    assert_eq!(appended, leader.apply(&batch(5)).expect("open"));
    assert_eq!(
        read(&node, Some(revision)).await,
        (vec![publisher(5)], appended.revision)
    );
}

#[tokio::test]
async fn a_snapshot_that_is_read_while_the_state_is_replaced_does_not_mix() {
    let node = history(100);
    node.apply(&batch(1)).expect("open");
    let mut reading = node.watch(None);
    assert_eq!(
        next(&mut reading).await.expect("an item"),
        WatchItem::SnapshotBegin
    );
    let other = history(200);
    other.apply(&batch(2)).expect("open");
    let (revision, state) = other.state();
    node.replace(state, revision);
    // Either it is cut off, or it comes to its end at the old place and then is.
    let error = loop {
        match next(&mut reading).await {
            Ok(WatchItem::SnapshotEnd(at)) => assert_eq!(at, Revision(101)),
            Ok(WatchItem::Snapshot(deltas)) => {
                let old = |delta: &Delta| match delta {
                    Delta::Status(status) => status.publisher == publisher(1),
                    _ => true,
                };
                assert!(deltas.iter().all(old), "{deltas:?}");
            }
            Ok(item) => panic!("{item:?} of another history"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, WatchError::Lagged { .. }), "{error}");
}

#[tokio::test]
async fn reached_waits_for_a_revision() {
    let history = history(10);
    history.reached(Revision(10)).await;
    history.reached(Revision(3)).await;
    let waiting = tokio::spawn({
        let history = history.clone();
        async move {
            history.reached(Revision(12)).await;
            history.revision()
        }
    });
    tokio::task::yield_now().await;
    history.apply(&batch(1)).expect("open");
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "11 is not 12");
    history.apply(&batch(2)).expect("open");
    let reached = tokio::time::timeout(PATIENCE, waiting).await;
    let at = reached.expect("woken").expect("no panic");
    assert!(at >= Revision(12), "woken at {at:?}");
}

#[tokio::test]
async fn reached_is_woken_by_another_state_and_by_the_end() {
    let history = history(10);
    let wait = |revision| {
        let history = history.clone();
        tokio::spawn(async move { history.reached(Revision(revision)).await })
    };
    let (by_state, by_end) = (wait(50), wait(60));
    tokio::task::yield_now().await;
    history.replace(State::new(StateLimits::default()), Revision(50));
    tokio::time::timeout(PATIENCE, by_state)
        .await
        .expect("woken")
        .expect("no panic");
    assert!(!by_end.is_finished(), "50 is not 60");
    history.close("the test ends");
    tokio::time::timeout(PATIENCE, by_end)
        .await
        .expect("woken")
        .expect("no panic");
    let refused = history.apply(&batch(1)).expect_err("closed");
    assert!(matches!(refused, AppendError::Closed { .. }), "{refused}");
}

#[tokio::test]
async fn a_copy_of_the_state_stays_as_it_was() {
    let history = history(0);
    history.apply(&batch(1)).expect("open");
    let (revision, state) = history.state();
    let before = state.image().collect::<Vec<_>>();
    history.apply(&batch(2)).expect("open");
    let reset = Command::Reset {
        publisher: publisher(1),
        incarnation: Incarnation(1),
    };
    history
        .apply(&Batch {
            commands: vec![reset],
        })
        .expect("open");
    assert_eq!(state.image().collect::<Vec<_>>(), before);
    assert_eq!((revision, history.revision()), (Revision(1), Revision(3)));
}
