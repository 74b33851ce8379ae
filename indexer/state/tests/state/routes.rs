//! Routes: what is told of them, what ends them, and their limits.

use std::collections::BTreeSet;

use indexer_state::{ImagePiece, KEYS_PER_DELTA, RestoreError, Restorer, State, StateLimits};
use proto_model::*;

use crate::support::*;

const MINUTES_10: u64 = 600_000_000;

/// A state and a reader that has followed it from the beginning.
struct Bench {
    state: State,
    replica: Replica,
}

impl Bench {
    fn new(limits: StateLimits) -> Self {
        Self {
            state: State::new(limits),
            replica: Replica::default(),
        }
    }

    fn apply(&mut self, command: &Command) -> (Outcome, Vec<Delta>) {
        let mut deltas = Vec::new();
        let outcome = self.state.apply(command, &mut deltas);
        deltas.iter().for_each(|delta| self.replica.apply(delta));
        (outcome, deltas)
    }

    fn held(&self, number: u32, source: Source) -> Vec<u64> {
        let held = self.replica.held_from(&publisher(number), source);
        held.into_iter().map(|(_, key)| key.0).collect()
    }

    fn speculative(&self) -> Vec<u64> {
        self.held(0, Source::Speculative)
    }

    fn estimated(&self) -> Vec<u64> {
        self.held(0, Source::Estimated)
    }
}

fn bench() -> Bench {
    Bench::new(StateLimits::default())
}

fn route(kind: RouteKind, at: u64, expires_at: Option<u64>, keys: &[u64]) -> RouteRecorded {
    RouteRecorded {
        publisher: publisher(0),
        kind,
        recorded_at: Timestamp(at),
        expires_at: expires_at.map(Timestamp),
        capacity: 1000,
        keys: keys.iter().copied().map(BlockKey).collect(),
    }
}

fn speculative(at: u64, keys: &[u64]) -> Command {
    Command::RouteRecorded(route(RouteKind::Speculative, at, Some(at + 100), keys))
}

fn estimated(capacity: u32, keys: &[u64]) -> Command {
    let route = route(RouteKind::Estimated, 1, None, keys);
    Command::RouteRecorded(RouteRecorded { capacity, ..route })
}

fn to(number: u32, command: Command) -> Command {
    let Command::RouteRecorded(route) = command else {
        panic!("a route")
    };
    Command::RouteRecorded(RouteRecorded {
        publisher: publisher(number),
        ..route
    })
}

fn expire(until: u64) -> Command {
    Command::Expire {
        until: Timestamp(until),
    }
}

/// The engine stores blocks with these local hashes, each a prompt of its own.
fn stores(sequence: u64, locals: &[u64]) -> Command {
    let changes = locals.iter().map(|local| stored(None, &[(*local, *local)]));
    events(0, vec![message(sequence, 10 + sequence, changes.collect())])
}

fn says(sequence: u64, change: Change) -> Command {
    events(0, vec![message(sequence, 10 + sequence, vec![change])])
}

#[test]
fn a_route_has_a_holder_of_its_own_and_its_keys_come_in_order() {
    let mut bench = bench();
    let (outcome, deltas) = bench.apply(&speculative(1, &[9, 3, 5]));
    assert_eq!(outcome, Outcome::default());
    let holder = Holder(1);
    let expected = [
        Delta::HolderBegan {
            holder,
            publisher: publisher(0),
            source: Source::Speculative,
        },
        Delta::Stored {
            holder,
            medium: Medium::Gpu,
            keys: vec![BlockKey(9), BlockKey(3), BlockKey(5)],
        },
    ];
    assert_eq!(deltas, expected);
    let (_, again) = bench.apply(&speculative(1, &[9, 3, 5]));
    assert_eq!(again, []);
    let (_, more) = bench.apply(&speculative(2, &[9, 3, 5, 6]));
    let keys = vec![BlockKey(6)];
    let medium = Medium::Gpu;
    assert_eq!(
        more,
        [Delta::Stored {
            holder,
            medium,
            keys
        }]
    );
}

#[test]
fn tails_of_prompts_go_before_heads_and_old_prompts_before_new_ones() {
    let mut bench = bench();
    bench.apply(&estimated(5, &[1, 2, 3]));
    bench.apply(&estimated(5, &[11, 12, 13]));
    assert_eq!(bench.estimated(), [1, 2, 11, 12, 13]);
    bench.apply(&estimated(5, &[1]));
    bench.apply(&estimated(5, &[21, 22, 23]));
    assert_eq!(bench.estimated(), [1, 11, 21, 22, 23]);
    bench.apply(&estimated(2, &[22]));
    assert_eq!(
        bench.estimated(),
        [21, 22],
        "a smaller capacity counts at once"
    );
}

#[test]
fn of_a_prompt_longer_than_the_table_the_head_is_kept_and_the_rest_never_told() {
    let mut bench = bench();
    bench.apply(&estimated(3, &[7]));
    let (_, deltas) = bench.apply(&estimated(3, &[1, 2, 3, 4, 5, 4]));
    assert_eq!(bench.estimated(), [1, 2, 3]);
    let told: usize = deltas.iter().map(keys_of).sum();
    assert_eq!(told, 4, "one removed, three stored: {deltas:?}");
    bench.apply(&estimated(0, &[8, 9]));
    assert_eq!(bench.estimated(), [8], "no capacity is a capacity of one");
}

fn keys_of(delta: &Delta) -> usize {
    match delta {
        Delta::Stored { keys, .. } | Delta::Removed { keys, .. } => keys.len(),
        _ => 0,
    }
}

#[test]
fn a_key_expires_with_the_last_route_that_names_it() {
    let mut bench = bench();
    bench.apply(&speculative(10, &[1, 2]));
    bench.apply(&speculative(50, &[1, 3]));
    bench.apply(&speculative(20, &[1]));
    bench.apply(&expire(109));
    assert_eq!(bench.speculative(), [1, 2, 3]);
    bench.apply(&expire(110));
    assert_eq!(bench.speculative(), [1, 3]);
    let (_, again) = bench.apply(&expire(110));
    assert_eq!(again, []);
    bench.apply(&speculative(150, &[4]));
    assert_eq!(bench.speculative(), [4], "a route sweeps its own table");
}

/// How a table came to hold its keys must not show: a restored one would differ.
#[test]
fn keys_that_expire_together_are_told_in_ascending_order() {
    let mut bench = bench();
    bench.apply(&speculative(1, &[9, 3, 5, 7]));
    let (_, deltas) = bench.apply(&expire(101));
    let (holder, medium) = (Holder(1), Medium::Gpu);
    let keys = [3, 5, 7, 9].map(BlockKey).to_vec();
    assert_eq!(
        deltas,
        [Delta::Removed {
            holder,
            medium,
            keys
        }]
    );
}

#[test]
fn what_never_expires_is_not_made_to() {
    let mut bench = bench();
    bench.apply(&estimated(9, &[1]));
    bench.apply(&Command::RouteRecorded(route(
        RouteKind::Estimated,
        1,
        Some(5),
        &[1, 2],
    )));
    bench.apply(&expire(u64::MAX));
    assert_eq!(bench.estimated(), [1]);
}

#[test]
fn a_route_that_says_nothing_changes_nothing() {
    let mut bench = bench();
    let over = route(RouteKind::Speculative, 5, Some(5), &[1]);
    let empty = route(RouteKind::Estimated, 5, None, &[]);
    for route in [over, empty] {
        let (outcome, deltas) = bench.apply(&Command::RouteRecorded(route));
        assert_eq!((outcome, deltas), (Outcome::default(), vec![]));
    }
    assert_eq!(bench.state.next_publisher(None), None);
}

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
