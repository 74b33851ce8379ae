//! Limits, and images that are not whole.

use indexer_state::{ImagePiece, KEYS_PER_DELTA, RestoreError, Restorer, State, StateLimits};
use proto_model::*;

use super::*;

#[test]
fn routes_cannot_take_more_than_the_limits() {
    let limits = StateLimits {
        publishers: 2,
        route_keys_per_publisher: 3,
        route_keys: 4,
        ..StateLimits::default()
    };
    let mut bench = Bench::new(limits);
    bench.apply(&estimated(9, &[1, 2, 3, 4]));
    assert_eq!(bench.estimated(), [1, 2, 3]);
    bench.apply(&to(1, estimated(9, &[1, 2, 3])));
    assert_eq!(bench.held(1, Source::Estimated), [1]);
    let (outcome, deltas) = bench.apply(&speculative(1, &[1]));
    let refused = Some(Refusal::TooManyRoutes);
    assert_eq!((outcome.refused, deltas), (refused, vec![]));
    let (outcome, deltas) = bench.apply(&to(2, estimated(9, &[1])));
    let refused = Some(Refusal::TooManyPublishers);
    assert_eq!((outcome.refused, deltas), (refused, vec![]));
    bench.apply(&estimated(1, &[1]));
    bench.apply(&to(1, estimated(9, &[1, 2, 3])));
    assert_eq!(bench.held(1, Source::Estimated), [1, 2, 3], "room was made");
    assert_eq!(bench.state.stats().route_keys, 4);
    let (outcome, _) = bench.apply(&events(2, vec![message(0, 1, vec![])]));
    assert_eq!(outcome.refused, None, "routes take no room from events");
    bench.apply(&Command::EndpointRemoved {
        endpoint: publisher(0).endpoint,
        rank: None,
    });
    assert_eq!(bench.state.stats().route_keys, 0);
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
