//! Random histories: after every command the state, its deltas, its view and its
//! image say what the naive model says.

use std::collections::BTreeMap;

use indexer_state::{Image, ImagePiece, Restorer, State, StateLimits};
use proptest::collection::vec;
use proptest::prelude::*;
use proto_model::*;

use crate::naive::Naive;
use crate::support::*;

/// A command before sequences and times are filled in from where the model
/// stands, so that most messages are at or near the place that is expected.
#[derive(Debug, Clone)]
enum Step {
    Events(u32, Vec<(i64, i64, u8, Vec<Change>)>),
    Gap(u32, Option<u64>, u64),
    Reset(u32, u64),
    Remove(u32, bool),
    Route(u32, RouteKind, RouteStep),
    /// So long after the last route, or before it.
    Expire(i64),
    /// Go on with a state restored from the image.
    Reload,
}

/// What a route says: locals of its chain, how much time has passed, how long it
/// counts, and the capacity.
type RouteStep = (Vec<u64>, i64, Option<u64>, u32);

fn route() -> impl Strategy<Value = RouteStep> {
    // Times that often are the same for two routes.
    let passed = prop_oneof![3 => Just(0_i64), 3 => 0_i64..5, 1 => -5_i64..0];
    let lasts = proptest::option::of(0_u64..6);
    let capacity = prop_oneof![4 => 2_u32..12, 1 => 0_u32..2, 2 => Just(1000)];
    (vec(0_u64..4, 0..5), passed, lasts, capacity)
}

fn medium() -> impl Strategy<Value = Medium> {
    prop_oneof![4 => Just(Medium::Gpu), 2 => Just(Medium::Cpu), 1 => Just(Medium::Remote)]
}

fn group() -> impl Strategy<Value = u16> {
    prop_oneof![6 => Just(0_u16), 2 => Just(1), 1 => Just(7)]
}

fn space_index() -> impl Strategy<Value = u16> {
    prop_oneof![6 => Just(0_u16), 1 => Just(1), 1 => Just(2)]
}

fn hash() -> impl Strategy<Value = u64> {
    0_u64..10
}

fn change() -> impl Strategy<Value = Change> {
    let hashes = || vec(hash().prop_map(EngineHash), 0..4);
    let blocks = vec(
        (hash(), 0_u64..4).prop_map(|(hash, local)| block(hash, local)),
        0..4,
    );
    let parent = prop_oneof![2 => Just(None), 3 => hash().prop_map(|hash| Some(EngineHash(hash)))];
    prop_oneof![
        12 => (space_index(), medium(), group(), parent, blocks).prop_map(
            |(space, medium, group, parent, blocks)| Change::Stored {
                space, medium, group, parent, blocks
            }
        ),
        3 => (space_index(), medium(), group(), hashes()).prop_map(
            |(space, medium, group, hashes)| Change::StoredByHash { medium, group, space, hashes }
        ),
        8 => (medium(), group(), hashes())
            .prop_map(|(medium, group, hashes)| Change::Removed { medium, group, hashes }),
        1 => proptest::option::weighted(0.7, medium())
            .prop_map(|medium| Change::Cleared { medium }),
        1 => prop_oneof![Just(0_u16), Just(1), Just(7), Just(9)]
            .prop_map(|group| Change::GroupExcluded { group }),
        1 => Just(Change::Unreadable),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let offset = prop_oneof![20 => Just(0_i64), 1 => -4_i64..0, 1 => 1_i64..4];
    let time = prop_oneof![
        12 => 0_i64..20, 2 => -30_i64..0, 1 => Just(2_000_000_i64), 1 => -1_500_000_i64..0
    ];
    let stream = prop_oneof![8 => Just(0_u8), 1 => Just(1), 1 => Just(2)];
    let message = (offset, time, stream, vec(change(), 0..4));
    let incarnation = prop_oneof![Just(None), (1_u64..4).prop_map(Some)];
    prop_oneof![
        16 => (0_u32..3, vec(message, 1..4)).prop_map(|(p, messages)| Step::Events(p, messages)),
        1 => (0_u32..3, incarnation, 0_u64..5).prop_map(|(p, i, ahead)| Step::Gap(p, i, ahead)),
        1 => (0_u32..3, 1_u64..4).prop_map(|(p, i)| Step::Reset(p, i)),
        1 => (0_u32..3, any::<bool>()).prop_map(|(p, all)| Step::Remove(p, all)),
        1 => Just(Step::Reload),
        6 => (0_u32..4, any::<bool>(), route()).prop_map(|(p, estimated, route)| {
            let kinds = [RouteKind::Speculative, RouteKind::Estimated];
            Step::Route(p, kinds[usize::from(estimated)], route)
        }),
        2 => prop_oneof![4 => -5_i64..5, 1 => Just(600_000_000_i64)].prop_map(Step::Expire),
    ]
}

fn command(step: &Step, model: &Naive, clock: &mut u64) -> Option<Command> {
    let at = |number: u32| {
        let cursor = model.publishers.get(&publisher(number)).map(|p| p.cursor());
        cursor.map_or((0, 5_000_000), |cursor| {
            (cursor.next, cursor.timestamp.0.max(5_000_000))
        })
    };
    Some(match step {
        Step::Events(number, messages) => {
            let (mut next, mut time) = at(*number);
            let message = |(offset, step, stream, changes): &(i64, i64, u8, Vec<Change>)| {
                let sequence = next.saturating_add_signed(*offset);
                let at = time.saturating_add_signed(*step);
                (next, time) = (sequence + 1, time.max(at));
                let stream = (*stream > 0).then_some(StreamId([*stream; 16]));
                Message {
                    stream,
                    ..message(sequence, at, changes.clone())
                }
            };
            events(*number, messages.iter().map(message).collect())
        }
        Step::Gap(number, incarnation, ahead) => Command::Gap {
            publisher: publisher(*number),
            incarnation: incarnation.map(Incarnation),
            next: at(*number).0 + ahead,
        },
        Step::Reset(number, incarnation) => Command::Reset {
            publisher: publisher(*number),
            incarnation: Incarnation(*incarnation),
        },
        Step::Remove(number, all) => {
            let Publisher { endpoint, rank } = publisher(*number);
            Command::EndpointRemoved {
                endpoint,
                rank: (!all).then_some(rank),
            }
        }
        Step::Route(number, kind, (locals, passed, lasts, capacity)) => {
            *clock = clock.saturating_add_signed(*passed);
            let chain = (1..=locals.len()).map(|end| key(&locals[..end]));
            Command::RouteRecorded(RouteRecorded {
                publisher: publisher(*number),
                kind: *kind,
                recorded_at: Timestamp(*clock),
                expires_at: lasts.map(|lasts| Timestamp(*clock + lasts)),
                capacity: *capacity,
                keys: chain.collect(),
            })
        }
        Step::Expire(after) => Command::Expire {
            until: Timestamp(clock.saturating_add_signed(*after)),
        },
        Step::Reload => return None,
    })
}

fn reload(state: &State) -> State {
    let mut restorer = Restorer::new(StateLimits::default());
    for piece in state.image() {
        let bytes = postcard::to_stdvec(&piece).expect("encodes");
        restorer
            .push(postcard::from_bytes(&bytes).expect("decodes"))
            .expect("in order");
    }
    restorer.finish().expect("complete")
}

fn compare(state: &State, replica: &Replica, model: &Naive) {
    let known: Vec<_> = state.publishers().cloned().collect();
    let expected: Vec<_> = model.publishers.keys().cloned().collect();
    assert_eq!(known, expected);
    for (publisher, p) in &model.publishers {
        assert_eq!(state.cursor(publisher), Some(p.cursor()), "{publisher}");
        assert_eq!(replica.held(publisher), p.blocks.members(), "{publisher}");
        let status = &replica.status[publisher];
        let parked = p.blocks.parked.len() as u64;
        assert_eq!(
            (status.cursor, status.parked, status.lost),
            (p.cursor(), parked, p.lost)
        );
        let spaces = replica.spaces.get(publisher).cloned().unwrap_or_default();
        assert_eq!(spaces, p.blocks.spaces);
    }
    assert_eq!(replica.status.len(), known.len());
    let parked: usize = model
        .publishers
        .values()
        .map(|p| p.blocks.parked.len())
        .sum();
    assert_eq!(state.stats().parked, parked as u64);
    let stats = state.stats();
    let told = stats.memberships + stats.route_keys;
    assert_eq!(told, replica.keys.len() as u64);
    compare_routes(state, replica, model);
}

/// The tables, what readers know of them, and the order of use.
fn compare_routes(state: &State, replica: &Replica, model: &Naive) {
    let holders = replica.holders.values();
    let routed = holders.filter(|(_, source)| *source != Source::Confirmed);
    assert_eq!(routed.count(), model.routes.tables.len());
    let mut listed = BTreeMap::new();
    let mut open = None;
    for piece in state.image() {
        match piece {
            ImagePiece::RouteTable(table) => {
                let name = (table.publisher, table.kind);
                listed.insert(name.clone(), Vec::new());
                open = Some(name);
            }
            ImagePiece::RouteKeys(keys) => {
                let name = open.as_ref().expect("a table before its keys");
                let list = listed.get_mut(name).expect("it is listed");
                list.extend(keys.iter().map(|key| (key.key, key.expires_at)));
            }
            _ => {}
        }
    }
    for ((publisher, kind), table) in &model.routes.tables {
        let held = replica.held_from(publisher, kind.source());
        let expected = table.keys.iter().map(|(key, _)| (Medium::Gpu, *key));
        assert_eq!(held, expected.collect(), "{publisher} {kind:?}");
        let mut expected = table.keys.clone();
        expected.reverse();
        let found = listed.remove(&(publisher.clone(), *kind));
        assert_eq!(found, Some(expected), "{publisher} {kind:?}");
    }
    assert!(listed.is_empty(), "{listed:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// I3 (view at r, then deltas, equals the whole history) is checked by a
    /// second replica that begins with the view in the middle.
    #[test]
    fn the_state_is_the_naive_model(steps in vec(step(), 1..60), late in 0_usize..60) {
        let mut state = State::new(StateLimits::default());
        let mut model = Naive::default();
        let mut clock = 1_000_000;
        let (mut whole, mut joined) = (Replica::default(), None);
        for (index, step) in steps.iter().enumerate() {
            if index == late {
                joined = Some(Replica::of(&state.view().collect::<Vec<_>>()));
            }
            let Some(command) = command(step, &model, &mut clock) else {
                let restored = reload(&state);
                prop_assert!(restored.image().eq(state.image()));
                state = restored;
                continue;
            };
            let mut deltas = Vec::new();
            let outcome = state.apply(&command, &mut deltas);
            prop_assert_eq!(outcome, model.apply(&command), "{:?}", command);
            deltas.iter().for_each(|delta| whole.apply(delta));
            joined.iter_mut().for_each(|joined| deltas.iter().for_each(|d| joined.apply(d)));
            compare(&state, &whole, &model);
        }
        prop_assert_eq!(Replica::of(&state.view().collect::<Vec<_>>()).now(), whole.now());
        if let Some(joined) = joined {
            prop_assert_eq!(joined.now(), whole.now());
        }
    }

    /// I2: applying commands a second time, at once or much later, is applying
    /// them once.
    #[test]
    fn repeated_commands_change_nothing(
        runs in vec(vec(vec(change(), 0..3), 1..4), 1..12),
        again in vec(0_usize..12, 0..12),
    ) {
        let mut next = 0;
        let commands: Vec<Command> = runs.iter().map(|run| {
            let messages = run.iter().map(|changes| {
                next += 1;
                message(next - 1, 100 + next, changes.clone())
            });
            events(0, messages.collect())
        }).collect();
        let mut once = State::new(StateLimits::default());
        commands.iter().for_each(|command| { once.apply(command, &mut Vec::new()); });
        let mut often = State::new(StateLimits::default());
        for (index, command) in commands.iter().enumerate() {
            often.apply(command, &mut Vec::new());
            for earlier in again.iter().filter(|earlier| **earlier <= index) {
                let mut deltas = Vec::new();
                let outcome = often.apply(&commands[*earlier], &mut deltas);
                prop_assert_eq!(outcome.applied, 0);
                prop_assert!(deltas.is_empty());
            }
        }
        prop_assert!(pieces(once.image()).eq(&pieces(often.image())));
    }
}

fn pieces(image: Image<'_>) -> Vec<ImagePiece> {
    image.collect()
}
