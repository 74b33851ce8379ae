//! The order rules, one scenario each.

use crate::support::*;
use indexer_state::{State, StateLimits};
use proto_model::*;

struct Bench {
    state: State,
    replica: Replica,
}

impl Bench {
    fn new() -> Self {
        Self {
            state: State::new(StateLimits::default()),
            replica: Replica::default(),
        }
    }

    fn apply(&mut self, command: &Command) -> Outcome {
        let mut deltas = Vec::new();
        let outcome = self.state.apply(command, &mut deltas);
        deltas.iter().for_each(|delta| self.replica.apply(delta));
        outcome
    }

    fn send(&mut self, sequence: u64, timestamp: u64, changes: Vec<Change>) -> Outcome {
        self.apply(&events(0, vec![message(sequence, timestamp, changes)]))
    }

    fn keys(&self) -> Vec<BlockKey> {
        self.replica
            .held(&publisher(0))
            .into_iter()
            .map(|(_, key)| key)
            .collect()
    }

    fn trust(&self) -> Trust {
        self.state.cursor(&publisher(0)).expect("known").trust
    }
}

fn gap(incarnation: Option<u64>, next: u64) -> Command {
    Command::Gap {
        publisher: publisher(0),
        incarnation: incarnation.map(Incarnation),
        next,
    }
}

#[test]
fn a_run_becomes_a_chain_of_keys() {
    let mut bench = Bench::new();
    let outcome = bench.send(0, 10, vec![stored(None, &[(1, 11), (2, 12)])]);
    assert_eq!(outcome.applied, 1);
    let mut expected = vec![key(&[11]), key(&[11, 12])];
    expected.sort();
    assert_eq!(bench.keys(), expected);
    let cursor = outcome.cursor.expect("known");
    assert_eq!(
        (cursor.incarnation, cursor.next, cursor.trust),
        (Incarnation(1), 1, Trust::Exact)
    );
    assert_eq!(cursor.timestamp, Timestamp(10));
}

#[test]
fn duplicates_change_nothing() {
    let mut bench = Bench::new();
    bench.send(0, 10, vec![stored(None, &[(1, 11)])]);
    let mut deltas = Vec::new();
    let again = events(0, vec![message(0, 10, vec![stored(None, &[(1, 11)])])]);
    let outcome = bench.state.apply(&again, &mut deltas);
    assert_eq!((outcome.applied, outcome.duplicates), (0, 1));
    assert_eq!(deltas, []);
}

#[test]
fn a_gap_stops_the_command_and_names_the_hole() {
    let mut bench = Bench::new();
    bench.send(0, 10, vec![]);
    let outcome = bench.apply(&events(
        0,
        vec![message(2, 12, vec![]), message(3, 13, vec![])],
    ));
    assert_eq!(
        outcome.gap,
        Some(SequenceGap {
            expected: 1,
            found: 2
        })
    );
    assert_eq!(outcome.applied, 0);
    let refill = (1..4).map(|n| message(n, 10 + n, vec![])).collect();
    assert_eq!(bench.apply(&events(0, refill)).applied, 3);
    assert_eq!(bench.trust(), Trust::Exact);
}

#[test]
fn an_unknown_publisher_stays_unknown_until_something_applies() {
    let mut bench = Bench::new();
    let outcome = bench.send(7, 10, vec![]);
    assert_eq!(
        outcome.gap,
        Some(SequenceGap {
            expected: 0,
            found: 7
        })
    );
    assert_eq!(outcome.cursor, None);
    assert_eq!(bench.replica, Replica::default());
    bench.apply(&gap(None, 7));
    assert_eq!(bench.trust(), Trust::Partial);
    assert_eq!(bench.send(7, 10, vec![]).applied, 1);
    assert_eq!(bench.replica.status[&publisher(0)].lost, 7);
}

#[test]
fn gaps_are_idempotent_and_bound_to_their_incarnation() {
    let mut bench = Bench::new();
    bench.send(0, 10, vec![stored(None, &[(1, 11)])]);
    for ignored in [gap(None, 5), gap(None, 1), gap(Some(2), 5), gap(Some(1), 0)] {
        bench.apply(&ignored);
        assert_eq!(bench.trust(), Trust::Exact);
    }
    bench.apply(&gap(Some(1), 5));
    bench.apply(&gap(Some(1), 5));
    assert_eq!(bench.trust(), Trust::Suspect);
    let status = &bench.replica.status[&publisher(0)];
    assert_eq!((status.lost, status.cursor.next), (4, 5));
    assert_eq!(bench.keys().len(), 1, "memberships stay");
}

#[test]
fn an_older_sequence_with_a_newer_time_is_a_restart() {
    let mut bench = Bench::new();
    bench.send(0, 10, vec![stored(None, &[(1, 11)])]);
    bench.send(1, 20, vec![]);
    let outcome = bench.send(0, 30, vec![stored(None, &[(9, 19)])]);
    assert!(outcome.restarted);
    assert_eq!(
        outcome.cursor.map(|c| (c.incarnation, c.next)),
        Some((Incarnation(2), 1))
    );
    assert_eq!(bench.keys(), [key(&[19])]);
    assert_eq!(bench.send(1, 20, vec![stored(None, &[(1, 11)])]).stale, 1);
    assert_eq!(
        bench.send(2, 25, vec![]).stale,
        1,
        "beyond next, but older than what was applied"
    );
    assert_eq!(bench.keys(), [key(&[19])]);
}

#[test]
fn a_restart_seen_in_the_middle_ends_the_old_life_at_once() {
    let mut bench = Bench::new();
    for n in 0..9 {
        bench.send(n, 10 + n, vec![stored(None, &[(n, n)])]);
    }
    let outcome = bench.send(3, 50, vec![]);
    assert!(outcome.restarted);
    assert_eq!(
        outcome.gap,
        Some(SequenceGap {
            expected: 0,
            found: 3
        })
    );
    assert_eq!(bench.keys(), []);
    let stale = bench.send(9, 19, vec![stored(None, &[(1, 1)])]);
    assert_eq!(
        (stale.stale, stale.gap),
        (1, None),
        "the old life's tail is no gap"
    );
    let replay = (0..4).map(|n| message(n, 47 + n, vec![])).collect();
    assert_eq!(bench.apply(&events(0, replay)).applied, 4);
    assert_eq!(bench.trust(), Trust::Exact);
}

/// The state never saw old sequence 2, and the new life is just about to have a
/// sequence 2 of its own: only the time tells them apart.
#[test]
fn a_late_tail_never_fills_the_next_place_of_a_new_life() {
    let second = 1_000_000;
    let mut bench = Bench::new();
    bench.send(0, 10 * second, vec![]);
    bench.send(1, 11 * second, vec![]);
    for n in 0..2 {
        bench.send(n, (20 + n) * second, vec![]);
    }
    let late = bench.send(2, 12 * second, vec![stored(None, &[(1, 11)])]);
    assert_eq!(late.stale, 1);
    assert_eq!(
        bench.send(2, 21 * second - 5, vec![]).applied,
        1,
        "small steps back are allowed"
    );
}

#[test]
fn stream_ids_decide_before_sequences() {
    let mut bench = Bench::new();
    let with = |id: u8, sequence, timestamp| {
        let stream = Some(StreamId([id; 16]));
        events(
            0,
            vec![Message {
                stream,
                ..message(sequence, timestamp, vec![])
            }],
        )
    };
    for n in 0..3 {
        bench.apply(&with(1, n, 100 + n));
    }
    let clock_back = bench.apply(&with(1, 3, 50));
    assert_eq!(clock_back.applied, 1, "same stream: time is not looked at");
    assert_eq!(bench.apply(&with(1, 2, 999)).duplicates, 1);
    assert_eq!(bench.apply(&with(2, 0, 101)).stale, 1);
    let restart = bench.apply(&with(2, 4, 200));
    assert_eq!((restart.restarted, restart.applied), (true, 0));
    assert_eq!(
        bench.apply(&with(1, 4, 190)).stale,
        1,
        "the old stream is over"
    );
    assert_eq!(bench.apply(&with(2, 0, 150)).applied, 1);
}

#[test]
fn a_reset_accepts_an_older_clock_and_happens_once() {
    let mut bench = Bench::new();
    bench.send(0, 1000, vec![stored(None, &[(1, 11)])]);
    let reset = Command::Reset {
        publisher: publisher(0),
        incarnation: Incarnation(1),
    };
    assert!(bench.apply(&reset).restarted);
    assert!(!bench.apply(&reset).restarted);
    assert_eq!(bench.keys(), []);
    assert_eq!(bench.send(0, 5, vec![stored(None, &[(2, 12)])]).applied, 1);
    assert_eq!(bench.keys(), [key(&[12])]);
}

#[test]
fn unreadable_messages_move_on_and_a_full_clear_heals() {
    let mut bench = Bench::new();
    bench.send(0, 10, vec![Change::Unreadable]);
    assert_eq!(bench.trust(), Trust::Suspect);
    bench.send(
        1,
        11,
        vec![Change::Cleared {
            medium: Some(Medium::Gpu),
        }],
    );
    assert_eq!(
        bench.trust(),
        Trust::Suspect,
        "other media may hold what was lost"
    );
    bench.send(2, 12, vec![Change::Cleared { medium: None }]);
    assert_eq!(bench.trust(), Trust::Exact);
}

#[test]
fn the_end_mark_numbers_no_message() {
    let mut bench = Bench::new();
    assert_eq!(bench.send(u64::MAX, 10, vec![]).stale, 1);
    bench.apply(&gap(None, u64::MAX));
    assert_eq!(bench.send(u64::MAX, 10, vec![]).stale, 1);
}

#[test]
fn removing_an_endpoint_forgets_its_ranks() {
    let mut bench = Bench::new();
    for number in 0..3 {
        bench.apply(&events(
            number,
            vec![message(0, 1, vec![stored(None, &[(1, 1)])])],
        ));
    }
    let endpoint = publisher(0).endpoint;
    bench.apply(&Command::EndpointRemoved {
        endpoint: endpoint.clone(),
        rank: Some(Rank(1)),
    });
    assert_eq!(bench.state.publishers().count(), 2);
    bench.apply(&Command::EndpointRemoved {
        endpoint,
        rank: None,
    });
    assert_eq!(
        bench.state.publishers().collect::<Vec<_>>(),
        [&publisher(2)]
    );
    assert_eq!(bench.replica.status.len(), 1);
}

#[test]
fn limits_refuse_and_change_nothing() {
    let limits = StateLimits {
        publishers: 1,
        spaces_per_publisher: 3,
        ..StateLimits::default()
    };
    let mut bench = Bench {
        state: State::new(limits),
        replica: Replica::default(),
    };
    bench.send(0, 1, vec![]);
    let second = bench.apply(&events(1, vec![message(0, 1, vec![])]));
    assert_eq!(
        (second.refused, second.applied),
        (Some(Refusal::TooManyPublishers), 0)
    );
    let mut bad = stored(None, &[(1, 1)]);
    if let Change::Stored { space, .. } = &mut bad {
        *space = 3;
    }
    let outcome = bench.send(1, 2, vec![bad]);
    assert_eq!(
        (outcome.refused, outcome.cursor.map(|c| c.next)),
        (Some(Refusal::BadSpace), Some(1))
    );
}

#[test]
fn a_message_without_a_time_is_judged_by_its_sequence_alone() {
    let second = 1_000_000;
    let mut bench = Bench::new();
    bench.send(0, 100 * second, vec![stored(None, &[(1, 11)])]);
    assert_eq!(bench.send(1, 0, vec![Change::Unreadable]).applied, 1);
    assert_eq!(bench.trust(), Trust::Suspect);
    assert_eq!(bench.send(0, 0, vec![]).duplicates, 1, "no restart");
    let gap = bench.send(5, 0, vec![]).gap.map(|gap| gap.expected);
    assert_eq!(gap, Some(2));
    let cursor = bench.state.cursor(&publisher(0)).expect("known");
    assert_eq!(cursor.timestamp, Timestamp(100 * second), "not moved");
    assert_eq!(bench.send(2, 98 * second, vec![]).stale, 1, "nor the floor");
    assert_eq!(bench.send(2, 101 * second, vec![]).applied, 1);
}

#[test]
fn a_first_message_without_a_time_leaves_the_floor_to_the_next() {
    let second = 1_000_000;
    let mut bench = Bench::new();
    assert_eq!(bench.send(0, 0, vec![]).applied, 1);
    bench.apply(&gap(None, 9));
    assert_eq!(bench.trust(), Trust::Exact, "something was applied");
    assert_eq!(bench.send(1, 50 * second, vec![]).applied, 1);
    assert_eq!(bench.send(2, 48 * second, vec![]).stale, 1);
}

#[test]
fn after_a_reset_a_first_message_from_the_future_bars_no_other() {
    let second = 1_000_000;
    let mut bench = Bench::new();
    bench.send(0, 100 * second, vec![]);
    assert_eq!(bench.send(1, 40 * second, vec![]).stale, 1);
    bench.apply(&Command::Reset {
        publisher: publisher(0),
        incarnation: Incarnation(1),
    });
    assert_eq!(bench.send(0, 100 * second, vec![]).applied, 1);
    assert_eq!(bench.send(1, 40 * second, vec![]).applied, 1);
}

#[test]
fn a_gap_of_nothing_makes_suspect_and_moves_nothing() {
    let mut bench = Bench::new();
    bench.send(0, 10, vec![stored(None, &[(1, 11)])]);
    for _ in 0..2 {
        bench.apply(&gap(Some(1), 1));
        let status = &bench.replica.status[&publisher(0)];
        assert_eq!((status.lost, status.cursor.next), (0, 1));
        assert_eq!(status.cursor.trust, Trust::Suspect);
    }
    bench.send(1, 11, vec![Change::Cleared { medium: None }]);
    assert_eq!(bench.trust(), Trust::Exact);
}

#[test]
fn sequences_at_the_end_of_their_range_overflow_nothing() {
    let mut bench = Bench::new();
    bench.apply(&gap(None, 5));
    bench.apply(&gap(Some(1), u64::MAX - 1));
    assert_eq!(bench.send(u64::MAX - 1, 10, vec![]).applied, 1);
    bench.apply(&gap(Some(1), u64::MAX));
    assert_eq!(bench.send(u64::MAX, 11, vec![]).stale, 1);
    assert_eq!(
        bench.state.cursor(&publisher(0)).expect("known").next,
        u64::MAX
    );
}
