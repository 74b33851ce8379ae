//! What ends routes, and how they stand beside events.

use std::collections::BTreeSet;

use proto_model::*;

use super::*;

#[test]
fn a_block_that_the_engine_gives_up_is_not_claimed_by_a_guess() {
    let (one, two) = (key(&[1]).0, key(&[2]).0);
    let mut bench = bench();
    bench.apply(&speculative(1, &[one, two]));
    bench.apply(&estimated(9, &[one, two]));
    bench.apply(&stores(0, &[1]));
    let both = || BTreeSet::from([one, two]).into_iter().collect::<Vec<_>>();
    assert_eq!(
        bench.speculative(),
        both(),
        "confirmed ones stay in the chain"
    );
    bench.apply(&says(1, removed(&[1])));
    assert_eq!(bench.speculative(), [two]);
    assert_eq!(bench.estimated(), both());
}

#[test]
fn a_block_that_moves_off_the_gpu_is_not_claimed_there() {
    let one = key(&[1]).0;
    let mut bench = bench();
    bench.apply(&speculative(1, &[one]));
    bench.apply(&stores(0, &[1]));
    let on_cpu = |change| match change {
        0 => Change::StoredByHash {
            space: 0,
            medium: Medium::Cpu,
            group: 0,
            hashes: vec![EngineHash(1)],
        },
        _ => Change::Removed {
            medium: Medium::Cpu,
            group: 0,
            hashes: vec![EngineHash(1)],
        },
    };
    bench.apply(&says(1, on_cpu(0)));
    bench.apply(&says(2, on_cpu(1)));
    assert_eq!(bench.speculative(), [one], "the CPU's copy says nothing");
    bench.apply(&says(3, on_cpu(0)));
    bench.apply(&says(4, removed(&[1])));
    assert_eq!(bench.speculative(), [0; 0]);
}

/// I8: a dead incarnation's routes do not count either.
#[test]
fn what_ends_the_cache_ends_its_routes() {
    let clear = |medium| says(2, Change::Cleared { medium });
    let restart = events(0, vec![message(0, 5_000_000, vec![])]);
    let late_restart = events(0, vec![message(7, 5_000_000, vec![])]);
    let stream = |byte| Message {
        stream: Some(StreamId([byte; 16])),
        ..message(0, 6_000_000, vec![])
    };
    let reset = Command::Reset {
        publisher: publisher(0),
        incarnation: Incarnation(1),
    };
    let gone = |rank| Command::EndpointRemoved {
        endpoint: publisher(0).endpoint,
        rank,
    };
    let cases = [
        (clear(None), true),
        (clear(Some(Medium::Gpu)), true),
        (clear(Some(Medium::Cpu)), false),
        (restart, true),
        (events(0, vec![stream(1), stream(2)]), true),
        (late_restart, false),
        (reset, true),
        (gone(None), true),
        (gone(Some(Rank(0))), true),
        (gone(Some(Rank(1))), false),
    ];
    for (command, ends) in cases {
        let mut bench = bench();
        bench.apply(&stores(0, &[1]));
        bench.apply(&says(1, Change::Unreadable));
        bench.apply(&speculative(1, &[7]));
        bench.apply(&estimated(9, &[7]));
        bench.apply(&to(2, estimated(9, &[7])));
        bench.apply(&command);
        let left = if ends { vec![] } else { vec![7] };
        let held = (bench.speculative(), bench.estimated());
        assert_eq!(held, (left.clone(), left), "{command:?}");
        assert_eq!(bench.held(2, Source::Estimated), [7], "another's stay");
    }
}

#[test]
fn an_endpoint_known_only_by_routes_can_be_removed() {
    let mut bench = bench();
    bench.apply(&estimated(9, &[1]));
    bench.apply(&to(1, speculative(1, &[1])));
    bench.apply(&to(2, speculative(1, &[1])));
    assert_eq!(bench.state.cursor(&publisher(0)), None);
    assert_eq!(bench.state.publishers().count(), 0);
    let gone = Command::EndpointRemoved {
        endpoint: publisher(0).endpoint,
        rank: None,
    };
    let (_, deltas) = bench.apply(&gone);
    let removed = |delta: &Delta| match delta {
        Delta::PublisherRemoved { publisher } => Some(publisher.clone()),
        _ => None,
    };
    let removed: Vec<_> = deltas.iter().filter_map(removed).collect();
    assert_eq!(removed, [publisher(0), publisher(1)]);
    assert_eq!(bench.state.next_publisher(None), Some(&publisher(2)));
}

#[test]
fn an_empty_table_keeps_its_holder_for_a_while_and_then_is_forgotten() {
    let mut bench = bench();
    bench.apply(&speculative(1, &[1]));
    bench.apply(&expire(MINUTES_10));
    assert_eq!(bench.speculative(), [0; 0]);
    assert_eq!(bench.replica.holders.len(), 1);
    bench.apply(&speculative(MINUTES_10, &[2]));
    let first = Holder(1);
    assert!(bench.replica.holders.contains_key(&first), "used again");
    bench.apply(&expire(2 * MINUTES_10 - 1));
    assert!(bench.replica.holders.contains_key(&first));
    let (_, deltas) = bench.apply(&expire(2 * MINUTES_10));
    let ended = Delta::HolderEnded { holder: first };
    let publisher = publisher(0);
    assert_eq!(deltas, [ended, Delta::PublisherRemoved { publisher }]);
    assert_eq!(bench.state.next_publisher(None), None);
}

#[test]
fn events_of_a_publisher_known_by_routes_are_those_of_a_stranger() {
    let mut bench = bench();
    bench.apply(&speculative(1, &[7]));
    let (outcome, _) = bench.apply(&stores(3, &[1]));
    let (expected, found) = (0, 3);
    let gap = Some(SequenceGap { expected, found });
    assert_eq!((outcome.gap, outcome.cursor), (gap, None));
    bench.apply(&Command::Gap {
        publisher: publisher(0),
        incarnation: None,
        next: 3,
    });
    let (outcome, _) = bench.apply(&stores(3, &[1]));
    assert_eq!(outcome.applied, 1);
    assert_eq!(
        outcome.cursor.map(|cursor| cursor.trust),
        Some(Trust::Partial)
    );
    assert_eq!(bench.speculative(), [7]);
    bench.apply(&expire(MINUTES_10 + 1));
    assert!(
        bench.replica.status.contains_key(&publisher(0)),
        "only its routes are over"
    );
}
