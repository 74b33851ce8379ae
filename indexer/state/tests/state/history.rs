//! Random histories: after every command the state, its deltas, its view and its
//! image say what the naive model says.

use indexer_state::{Image, Restorer, State, StateLimits};
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
    /// Go on with a state restored from the image.
    Reload,
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
    ]
}

fn command(step: &Step, model: &Naive) -> Option<Command> {
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
    assert_eq!(state.stats().memberships, replica.keys.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// I3 (view at r, then deltas, equals the whole history) is checked by a
    /// second replica that begins with the view in the middle.
    #[test]
    fn the_state_is_the_naive_model(steps in vec(step(), 1..60), late in 0_usize..60) {
        let mut state = State::new(StateLimits::default());
        let mut model = Naive::default();
        let (mut whole, mut joined) = (Replica::default(), None);
        for (index, step) in steps.iter().enumerate() {
            if index == late {
                joined = Some(Replica::of(&state.view().collect::<Vec<_>>()));
            }
            let Some(command) = command(step, &model) else {
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

fn pieces(image: Image<'_>) -> Vec<indexer_state::ImagePiece> {
    image.collect()
}
