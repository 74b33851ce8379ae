//! Any interleaving against the real state: what it says it knows is true.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexer_state::{State, StateLimits};
use proptest::prelude::*;
use proto_model::{
    Change, Command, Delta, Endpoint, EngineHash, EventsCommand, Extras, KeySpace, LocalHash,
    Medium, Message, Profile, Publisher, Rank, StoredBlock, Timestamp, Trust,
};

use super::super::*;
use crate::entry::build_command;

#[derive(Debug, Clone, Copy)]
enum Op {
    /// The engine changes its cache and publishes; delivered or lost.
    Publish { store: bool, delivered: bool },
    /// The last live message comes a second time, by another connection.
    Again,
    /// The engine restarts; its clock goes on, or back.
    Restart { clock_back: bool },
    /// The connection breaks and comes back.
    Reconnect,
    /// The store takes one command.
    Append,
    /// The replay under way brings so many messages; then ends, fails or goes on.
    Replay { messages: usize, end: u8 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (any::<bool>(), prop::bool::weighted(0.8))
            .prop_map(|(store, delivered)| Op::Publish { store, delivered }),
        1 => Just(Op::Again),
        1 => prop::bool::weighted(0.3).prop_map(|clock_back| Op::Restart { clock_back }),
        1 => Just(Op::Reconnect),
        5 => Just(Op::Append),
        4 => (0_usize..4, 0_u8..4).prop_map(|(messages, end)| Op::Replay { messages, end }),
    ]
}

/// The engine, the wire, the sequencer and the state.
struct World {
    sequencer: Sequencer,
    state: State,
    publisher: Publisher,
    space: Arc<KeySpace>,
    held: BTreeSet<u64>,
    life: u64,
    clock: u64,
    published: Vec<Entry>,
    buffer: usize,
    replay: Option<(ReplayOrder, u64)>,
    /// A replay failed as often as it may.
    given_up: bool,
    replayable: bool,
    next_live: u64,
    memberships: BTreeSet<(u32, u64)>,
}

impl World {
    fn new(replayable: bool, buffer: usize) -> Self {
        let space = KeySpace {
            profile: Profile::Content,
            model: "m".into(),
            lora: None,
            block_size: 16,
            extras: Extras::Published,
        };
        let rules = Rules {
            replayable,
            attempts: 3,
            held_messages: 3,
        };
        let mut world = Self {
            sequencer: Sequencer::new(rules),
            state: State::new(StateLimits::default()),
            publisher: Publisher {
                endpoint: Endpoint::new("c", "e").unwrap(),
                rank: Rank(0),
            },
            space: Arc::new(space),
            held: BTreeSet::new(),
            life: 0,
            clock: 1_000_000_000_000,
            published: Vec::new(),
            buffer,
            replay: None,
            given_up: false,
            replayable,
            next_live: 0,
            memberships: BTreeSet::new(),
        };
        world.sequencer.connected();
        world
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Publish { store, delivered } => self.publish(store, delivered),
            Op::Again => {
                if let Some(entry) = self.published.last().cloned()
                    && self.next_live == entry.message.sequence + 1
                {
                    self.sequencer.live(entry, false, true);
                }
            }
            Op::Restart { clock_back } => self.restart(clock_back),
            Op::Reconnect => self.sequencer.connected(),
            Op::Append => self.append(),
            Op::Replay { messages, end } => self.serve_replay(messages, end),
        }
        self.given_up |= self.sequencer.take_notes().contains(&Note::ReplayGivenUp);
    }

    fn publish(&mut self, store: bool, delivered: bool) {
        self.clock += 2_000_000;
        let sequence = self.published.len() as u64;
        let hash = self.life * 1000 + sequence;
        let change = if store || self.held.is_empty() {
            self.held.insert(hash);
            let block = StoredBlock {
                hash: EngineHash(hash),
                local: LocalHash(hash),
            };
            Change::Stored {
                space: 0,
                medium: Medium::Gpu,
                group: 0,
                parent: None,
                blocks: vec![block],
            }
        } else {
            let oldest = self.held.pop_first().unwrap();
            Change::Removed {
                medium: Medium::Gpu,
                group: 0,
                hashes: vec![EngineHash(oldest)],
            }
        };
        let entry = Entry {
            message: Message {
                sequence,
                timestamp: Timestamp(self.clock),
                stream: None,
                changes: vec![change],
            },
            spaces: vec![Arc::clone(&self.space)],
            model: "m".into(),
            replayed: false,
            unverified: false,
        };
        self.published.push(entry.clone());
        if delivered {
            self.next_live = sequence + 1;
            self.sequencer.live(entry, true, true);
        }
    }

    fn restart(&mut self, clock_back: bool) {
        self.life += 1;
        self.held.clear();
        self.published.clear();
        self.next_live = 0;
        self.clock = if clock_back {
            self.clock - 500_000_000
        } else {
            self.clock + 5_000_000
        };
        if let Some((order, _)) = self.replay.take() {
            self.sequencer.replay_ended(order.run, ReplayEnd::Failed);
        }
        self.sequencer.connected();
    }

    fn append(&mut self) {
        self.collect_replay();
        let Some(work) = self.sequencer.take(3, 1 << 20) else {
            return;
        };
        let publisher = self.publisher.clone();
        let (command, work) = match work {
            Work::Events(mut entries) => {
                let (command, taken) = build_command(&publisher, &entries);
                let rest = entries.split_off(taken);
                self.sequencer.put_entries_back(rest);
                (Command::Events(command), Work::Events(entries))
            }
            Work::Ask => {
                let model = "m".to_owned();
                let none = EventsCommand {
                    publisher,
                    model,
                    spaces: vec![],
                    messages: vec![],
                };
                (Command::Events(none), Work::Ask)
            }
            Work::Gap { incarnation, next } => (
                Command::Gap {
                    publisher,
                    incarnation,
                    next,
                },
                work,
            ),
            Work::Reset { incarnation } => (
                Command::Reset {
                    publisher,
                    incarnation,
                },
                work,
            ),
        };
        let mut deltas = Vec::new();
        let outcome = self.state.apply(&command, &mut deltas);
        deltas.into_iter().for_each(|delta| self.follow(delta));
        self.sequencer.done(work, &outcome);
        self.collect_replay();
    }

    fn follow(&mut self, delta: Delta) {
        let scope = self.space.scope();
        match delta {
            Delta::HolderEnded { holder } => self.memberships.retain(|(h, _)| *h != holder.0),
            Delta::Stored { holder, keys, .. } => {
                self.memberships
                    .extend(keys.iter().map(|key| (holder.0, scope.chain(*key))));
            }
            Delta::Removed { holder, keys, .. } => {
                for key in keys {
                    self.memberships.remove(&(holder.0, scope.chain(key)));
                }
            }
            _ => {}
        }
    }

    fn collect_replay(&mut self) {
        if let Some(order) = self.sequencer.take_replay() {
            self.replay = Some((order, order.from));
        }
    }

    fn serve_replay(&mut self, messages: usize, end: u8) {
        self.collect_replay();
        let Some((order, mut position)) = self.replay else {
            return;
        };
        let oldest = self.published.len().saturating_sub(self.buffer) as u64;
        position = position.max(oldest);
        for _ in 0..messages {
            let Some(entry) = self.published.get(position as usize) else {
                break;
            };
            self.sequencer.replayed(order.run, entry.clone());
            position += 1;
        }
        self.replay = Some((order, position));
        if end == 0 {
            self.replay = None;
            self.sequencer.replay_ended(order.run, ReplayEnd::Failed);
        } else if end == 1 && position as usize >= self.published.len() {
            self.replay = None;
            self.sequencer.replay_ended(order.run, ReplayEnd::Complete);
        }
        self.collect_replay();
    }

    /// Lets everything come to rest.
    fn settle(&mut self) {
        self.sequencer.connected();
        self.publish(true, true);
        for _ in 0..2000 {
            self.append();
            self.serve_replay(100, 1);
            if self.sequencer.idle() && self.replay.is_none() {
                return;
            }
        }
        panic!("never comes to rest: {:?}", self.sequencer);
    }

    fn check(&self) {
        let cursor = self.state.cursor(&self.publisher).expect("known by now");
        let listed: BTreeSet<u64> = self.memberships.iter().map(|(_, hash)| *hash).collect();
        match cursor.trust {
            Trust::Exact => {
                assert_eq!(listed, self.held, "exact must equal what the engine holds");
                assert_eq!(cursor.next, self.published.len() as u64);
            }
            Trust::Partial => assert!(
                listed.is_subset(&self.held),
                "partial must list only what is true: {listed:?} against {:?}",
                self.held
            ),
            Trust::Suspect | Trust::Estimated => {}
        }
        if self.replayable && !self.given_up && self.buffer >= self.published.len() {
            assert_eq!(
                cursor.next,
                self.published.len() as u64,
                "a replay has everything"
            );
            assert_eq!(listed, self.held);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 1 << 20, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn what_the_state_says_it_knows_is_true(
        replayable in any::<bool>(),
        buffer in prop_oneof![Just(1000_usize), Just(3)],
        ops in prop::collection::vec(op(), 0..120),
    ) {
        let mut world = World::new(replayable, buffer);
        for op in ops {
            world.run(op);
        }
        world.settle();
        world.check();
    }
}
