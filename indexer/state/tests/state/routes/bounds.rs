//! Limits, and images that are not whole.

use indexer_state::{ImagePiece, KEYS_PER_DELTA, RestoreError, Restorer, State, StateLimits};
use proto_model::*;

use super::*;

#[test]
fn routes_cannot_take_more_than_the_limits() {
    let limits = StateLimits {
        route_keys_per_publisher: 3,
        route_keys: 4,
        ..StateLimits::default()
    };
    let mut bench = Bench::new(limits);
    for number in 0..2 {
        bench.apply(&events(number, vec![message(0, 1, vec![])]));
    }
    bench.apply(&estimated(9, &[1, 2, 3, 4]));
    assert_eq!(bench.estimated(), [1, 2, 3]);
    bench.apply(&to(1, estimated(9, &[1, 2, 3])));
    assert_eq!(bench.held(1, Source::Estimated), [1]);
    for crowded in [speculative(1, &[1]), to(2, estimated(9, &[1]))] {
        let (outcome, deltas) = bench.apply(&crowded);
        let refused = Some(Refusal::TooManyRoutes);
        assert_eq!((outcome.refused, deltas), (refused, vec![]));
    }
    bench.apply(&estimated(1, &[1]));
    bench.apply(&to(1, estimated(9, &[1, 2, 3])));
    assert_eq!(bench.held(1, Source::Estimated), [1, 2, 3], "room was made");
    assert_eq!(bench.state.stats().route_keys, 4);
    bench.apply(&Command::EndpointRemoved {
        endpoint: publisher(0).endpoint,
        rank: None,
    });
    assert_eq!(bench.state.stats().route_keys, 0);
}

/// An estimated route to a publisher, recorded at a time of its own.
fn at(number: u32, recorded_at: u64) -> Command {
    let route = route(RouteKind::Estimated, recorded_at, None, &[1, 2]);
    to(number, Command::RouteRecorded(route))
}

fn routed(bench: &Bench, among: u32) -> Vec<u32> {
    let has = |number: &u32| !bench.held(*number, Source::Estimated).is_empty();
    (0..among).filter(has).collect()
}

#[test]
fn of_those_that_only_routes_tell_of_the_longest_unused_makes_room() {
    let limits = StateLimits {
        publishers: 2,
        routed_publishers: 3,
        ..StateLimits::default()
    };
    let mut bench = Bench::new(limits.clone());
    for (number, time) in [(0, 1), (1, 2), (2, 3), (0, 4), (3, 5)] {
        let (outcome, _) = bench.apply(&at(number, time));
        assert_eq!(outcome.refused, None);
    }
    assert_eq!(routed(&bench, 9), [0, 2, 3], "1 was the longest unused");
    // An image has the same order, and who is known by events counts no more.
    let image: Vec<ImagePiece> = bench.state.image().collect();
    let mut restorer = Restorer::new(limits);
    let pushed = image.into_iter().try_for_each(|piece| restorer.push(piece));
    pushed.expect("a whole image");
    let mut restored = restorer.finish().expect("a whole image");
    for command in [
        events(2, vec![message(0, 1, vec![])]),
        at(4, 6),
        at(5, 7),
        at(6, 8),
    ] {
        let mut deltas = Vec::new();
        let outcome = restored.apply(&command, &mut deltas);
        assert_eq!((outcome, deltas), bench.apply(&command));
    }
    assert_eq!(routed(&bench, 9), [2, 4, 5, 6]);
    let image: Vec<ImagePiece> = bench.state.image().collect();
    assert_eq!(restored.image().collect::<Vec<_>>(), image);
    let (_, deltas) = bench.apply(&at(7, 9));
    let gone = Delta::PublisherRemoved {
        publisher: publisher(4),
    };
    assert!(deltas.contains(&gone), "{deltas:?}");
}

#[test]
fn keys_of_made_up_publishers_make_room_for_others() {
    let limits = StateLimits {
        route_keys: 4,
        ..StateLimits::default()
    };
    let mut bench = Bench::new(limits);
    bench.apply(&at(1, 1));
    bench.apply(&at(2, 2));
    let (outcome, _) = bench.apply(&at(3, 3));
    assert_eq!(outcome.refused, None);
    assert_eq!(routed(&bench, 9), [2, 3]);
    assert_eq!(bench.state.stats().route_keys, 4);
}

#[test]
fn expired_publishers_take_no_place() {
    let limits = StateLimits {
        routed_publishers: 2,
        ..StateLimits::default()
    };
    let mut bench = Bench::new(limits);
    let short = route(RouteKind::Estimated, 2, Some(3), &[1]);
    bench.apply(&at(1, 1));
    bench.apply(&to(2, Command::RouteRecorded(short)));
    bench.apply(&expire(700_000_000));
    bench.apply(&at(3, 700_000_001));
    assert_eq!(routed(&bench, 9), [1, 3]);
    bench.apply(&at(4, 700_000_002));
    assert_eq!(routed(&bench, 9), [3, 4]);
}

#[test]
fn deltas_and_pieces_of_long_prompts_are_bounded() {
    let mut bench = bench();
    let keys: Vec<u64> = (0..10_000).collect();
    let long = route(RouteKind::Speculative, 1, Some(2), &keys);
    let capacity = 20_000;
    let (_, mut deltas) = bench.apply(&Command::RouteRecorded(RouteRecorded { capacity, ..long }));
    deltas.extend(bench.state.view());
    let pieces: Vec<ImagePiece> = bench.state.image().collect();
    deltas.extend(bench.apply(&expire(2)).1);
    assert_eq!(deltas.iter().map(keys_of).sum::<usize>(), 30_000);
    assert!(deltas.iter().all(|delta| keys_of(delta) <= KEYS_PER_DELTA));
    let of_piece = |piece: &ImagePiece| match piece {
        ImagePiece::RouteKeys(keys) => keys.len(),
        _ => 0,
    };
    assert_eq!(pieces.iter().map(of_piece).sum::<usize>(), 10_000);
    assert!(pieces.iter().all(|piece| of_piece(piece) <= 4096));
}

fn restore(pieces: Vec<ImagePiece>) -> Result<State, RestoreError> {
    let mut restorer = Restorer::new(StateLimits::default());
    pieces
        .into_iter()
        .try_for_each(|piece| restorer.push(piece))?;
    restorer.finish()
}

#[test]
fn damaged_images_with_routes_are_refused() {
    let mut bench = bench();
    bench.apply(&stores(0, &[1]));
    bench.apply(&estimated(9, &[1, 2]));
    bench.apply(&speculative(1, &[1, 2]));
    bench.apply(&to(2, speculative(1, &[1])));
    let pieces: Vec<ImagePiece> = bench.state.image().collect();
    assert!(restore(pieces.clone()).is_ok());
    for at in 0..pieces.len() {
        let mut damaged = pieces.clone();
        damaged.remove(at);
        assert!(restore(damaged).is_err(), "without piece {at}");
        let mut damaged = pieces.clone();
        damaged.insert(at, pieces[at].clone());
        assert!(restore(damaged).is_err(), "piece {at} twice");
        if at + 1 < pieces.len() && pieces[at] != pieces[at + 1] {
            let mut damaged = pieces.clone();
            damaged.swap(at, at + 1);
            assert!(
                restore(damaged).is_err(),
                "pieces {at} and the next swapped"
            );
        }
    }
    let mut damaged = pieces.clone();
    damaged.drain(pieces.len() - 3..pieces.len() - 1);
    assert!(
        matches!(restore(damaged), Err(RestoreError::Count { .. })),
        "a whole table is missing"
    );
    let mut damaged = pieces;
    for piece in &mut damaged {
        if let ImagePiece::RouteTable(table) = piece {
            table.holder = Holder(1000);
        }
    }
    assert!(matches!(restore(damaged), Err(RestoreError::Range { .. })));
}

#[test]
fn without_holder_numbers_there_are_no_new_tables() {
    let pieces = vec![
        ImagePiece::Begin {
            next_holder: u32::MAX,
            publishers: 0,
        },
        ImagePiece::End,
    ];
    let mut state = restore(pieces).expect("whole");
    let mut deltas = Vec::new();
    let outcome = state.apply(&estimated(9, &[1]), &mut deltas);
    assert_eq!(outcome.refused, Some(Refusal::TooManyPublishers));
    assert_eq!((deltas.len(), state.next_publisher(None)), (0, None));
}
