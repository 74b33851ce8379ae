//! Limits, and that whatever goes beyond them is said.

use indexer_state::{ImagePiece, KEYS_PER_DELTA, RestoreError, Restorer, State, StateLimits};
use proto_model::*;

use crate::support::*;

fn apply(state: &mut State, command: &Command) -> Vec<Delta> {
    let mut deltas = Vec::new();
    state.apply(command, &mut deltas);
    deltas
}

fn trust(state: &State) -> Trust {
    state.cursor(&publisher(0)).expect("known").trust
}

#[test]
fn parked_copies_beyond_the_limit_push_out_the_oldest() {
    let limits = StateLimits {
        parked_per_publisher: 2,
        ..StateLimits::default()
    };
    let mut state = State::new(limits);
    let orphans = (1..4).map(|n| stored(Some(100 * n), &[(n, n)])).collect();
    apply(&mut state, &events(0, vec![message(0, 1, orphans)]));
    let stats = state.stats();
    assert_eq!((stats.parked, stats.counters.parked_dropped), (2, 1));
    assert_eq!(
        trust(&state),
        Trust::Partial,
        "a block is missing from what is listed"
    );
    let parents = (1..4)
        .map(|n| stored(None, &[(100 * n, 100 * n)]))
        .collect();
    apply(&mut state, &events(0, vec![message(1, 2, parents)]));
    assert_eq!((state.stats().memberships, state.stats().parked), (5, 0));
}

#[test]
fn one_publisher_cannot_push_out_the_parked_copies_of_another() {
    let mut state = State::new(StateLimits {
        parked: 2,
        ..StateLimits::default()
    });
    for number in [0, 1] {
        let orphans = (1..3).map(|n| stored(Some(100 * n), &[(n, n)])).collect();
        apply(&mut state, &events(number, vec![message(0, 1, orphans)]));
    }
    let parked = |state: &State, number| {
        let replica = Replica::of(&state.view().collect::<Vec<_>>());
        replica.status[&publisher(number)].parked
    };
    assert_eq!((parked(&state, 0), parked(&state, 1)), (2, 0));
    assert_eq!(state.stats().counters.parked_dropped, 2);
}

#[test]
fn blocks_beyond_the_limit_are_refused_and_the_publisher_says_so() {
    let limits = StateLimits {
        blocks_per_publisher: 3,
        ..StateLimits::default()
    };
    let mut state = State::new(limits);
    let run: Vec<(u64, u64)> = (0..5).map(|n| (n, n)).collect();
    apply(
        &mut state,
        &events(0, vec![message(0, 1, vec![stored(None, &run)])]),
    );
    let stats = state.stats();
    assert_eq!(
        (stats.blocks, stats.parked, stats.counters.blocks_refused),
        (3, 0, 2)
    );
    assert_eq!(trust(&state), Trust::Suspect);
    apply(
        &mut state,
        &events(0, vec![message(1, 2, vec![stored(None, &[(0, 0)])])]),
    );
    assert_eq!(
        state.stats().counters.blocks_refused,
        2,
        "a second copy needs no room"
    );
}

#[test]
fn deltas_and_pieces_are_bounded() {
    let mut state = State::new(StateLimits::default());
    let run: Vec<(u64, u64)> = (0..10_000).map(|n| (n, n)).collect();
    let store = stored(None, &run);
    let by_hash = Change::StoredByHash {
        space: 0,
        medium: Medium::Cpu,
        group: 0,
        hashes: vec![EngineHash(5)],
    };
    let mut deltas = apply(
        &mut state,
        &events(0, vec![message(0, 1, vec![store, by_hash])]),
    );
    let clear = Change::Cleared {
        medium: Some(Medium::Gpu),
    };
    let removed = {
        let mut copy = state.clone();
        apply(&mut copy, &events(0, vec![message(1, 2, vec![clear])]))
    };
    deltas.extend(removed);
    deltas.extend(state.view());
    for delta in &deltas {
        if let Delta::Stored { keys, .. } | Delta::Removed { keys, .. } = delta {
            assert!((1..=KEYS_PER_DELTA).contains(&keys.len()));
        }
    }
    for piece in state.image() {
        if let ImagePiece::Blocks(blocks) = piece {
            assert!((1..=4096).contains(&blocks.len()));
        }
    }
}

#[test]
fn a_count_of_copies_ends_without_overflow() {
    let mut state = State::new(StateLimits::default());
    let stores = |count: u64| (0..count).map(|_| stored(None, &[(1, 1)])).collect();
    apply(&mut state, &events(0, vec![message(0, 1, stores(2047))]));
    assert_eq!(trust(&state), Trust::Exact);
    apply(&mut state, &events(0, vec![message(1, 2, stores(3))]));
    assert_eq!(trust(&state), Trust::Suspect);
    assert_eq!(state.stats().counters.copies_uncounted, 3);
    let removals = (0..2047).map(|_| removed(&[1])).collect();
    apply(&mut state, &events(0, vec![message(2, 3, removals)]));
    assert_eq!(state.stats().blocks, 0);
}

#[test]
fn a_ninth_group_does_not_count() {
    let mut state = State::new(StateLimits::default());
    let mut replica = Replica::default();
    for sequence in 0..9 {
        let group = u16::try_from(sequence).expect("small");
        let mut change = stored(None, &[(1, 1)]);
        if let Change::Stored { group: of, .. } = &mut change {
            *of = group;
        }
        let command = events(0, vec![message(sequence, sequence, vec![change])]);
        apply(&mut state, &command)
            .iter()
            .for_each(|delta| replica.apply(delta));
    }
    assert_eq!((trust(&state), replica.keys.len()), (Trust::Suspect, 1));
}

/// When all holder numbers are used up, keys are taken back one by one instead.
#[test]
fn the_state_survives_the_last_holder_number() {
    let mut state = State::new(StateLimits::default());
    apply(
        &mut state,
        &events(0, vec![message(0, 1, vec![stored(None, &[(1, 1)])])]),
    );
    let mut restorer = Restorer::new(StateLimits::default());
    for piece in state.image() {
        let piece = match piece {
            ImagePiece::Begin { publishers, .. } => ImagePiece::Begin {
                next_holder: u32::MAX,
                publishers,
            },
            other => other,
        };
        restorer.push(piece).expect("in order");
    }
    let mut state = restorer.finish().expect("complete");
    let mut replica = Replica::of(&state.view().collect::<Vec<_>>());
    for n in 1..4 {
        let restart = events(0, vec![message(0, 10 * n, vec![stored(None, &[(n, n)])])]);
        apply(&mut state, &restart)
            .iter()
            .for_each(|delta| replica.apply(delta));
        assert_eq!(replica.keys.len(), 1);
    }
    assert_eq!(
        replica.now(),
        Replica::of(&state.view().collect::<Vec<_>>()).now()
    );
    let mut deltas = Vec::new();
    let outcome = state.apply(&events(1, vec![message(0, 1, vec![])]), &mut deltas);
    assert_eq!(outcome.refused, Some(Refusal::TooManyPublishers));
}

#[test]
fn damaged_images_are_refused() {
    let mut state = State::new(StateLimits::default());
    for number in 0..2 {
        let changes = vec![stored(None, &[(1, 1)]), stored(Some(9), &[(8, 8)])];
        apply(&mut state, &events(number, vec![message(0, 1, changes)]));
    }
    let pieces: Vec<ImagePiece> = state.image().collect();
    let restore = |pieces: Vec<ImagePiece>| -> Result<State, RestoreError> {
        let mut restorer = Restorer::new(StateLimits::default());
        pieces
            .into_iter()
            .try_for_each(|piece| restorer.push(piece))?;
        restorer.finish()
    };
    assert!(restore(pieces.clone()).is_ok());
    for missing in 0..pieces.len() {
        let mut damaged = pieces.clone();
        damaged.remove(missing);
        assert!(restore(damaged).is_err(), "without piece {missing}");
        let mut damaged = pieces.clone();
        damaged.insert(missing, pieces[missing].clone());
        assert!(restore(damaged).is_err(), "piece {missing} twice");
    }
    let mut damaged = pieces;
    for piece in &mut damaged {
        if let ImagePiece::Blocks(blocks) = piece {
            blocks[0].space = 1000;
        }
    }
    assert!(matches!(restore(damaged), Err(RestoreError::Range { .. })));
}

#[test]
fn all_publishers_together_hold_no_more_blocks_than_the_total() {
    let limits = StateLimits {
        blocks: 3,
        ..StateLimits::default()
    };
    let mut state = State::new(limits.clone());
    let two = || vec![stored(None, &[(1, 11), (2, 12)])];
    apply(&mut state, &events(1, vec![message(0, 1, two())]));
    apply(&mut state, &events(0, vec![message(0, 1, two())]));
    let stats = state.stats();
    assert_eq!((stats.blocks, stats.counters.blocks_refused), (3, 1));
    assert_eq!(trust(&state), Trust::Suspect);
    let other = state.cursor(&publisher(1)).expect("known");
    assert_eq!(other.trust, Trust::Exact);

    let mut restorer = Restorer::new(limits);
    for piece in state.image() {
        restorer.push(piece).expect("whole");
    }
    let mut state = restorer.finish().expect("whole");
    let more = |n| vec![stored(None, &[(7, 7)]), stored(None, &[(n, n)])];
    apply(&mut state, &events(0, vec![message(1, 2, more(8))]));
    assert_eq!(state.stats().blocks, 3, "counted again from the image");

    let gone = Command::EndpointRemoved {
        endpoint: publisher(1).endpoint,
        rank: Some(publisher(1).rank),
    };
    apply(&mut state, &gone);
    apply(&mut state, &events(0, vec![message(2, 3, more(9))]));
    assert_eq!(state.stats().blocks, 3, "two places were free again");
}
