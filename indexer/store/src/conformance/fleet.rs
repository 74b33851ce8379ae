//! The streams of some engines, and what their publishers hold at every place.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexer_state::{State, StateLimits};
use proto_model::{Command, Incarnation, Message, Publisher};

use super::make::{events, publisher};
use super::random::Random;
use super::replica::{Held, Replica};
use super::workload::Workload;

/// Engines that have lived, restarts and all, before anything is delivered.
pub(super) struct Fleet {
    pub(super) streams: Vec<Stream>,
}

/// One publisher's stream, one list of messages per lifetime.
pub(super) struct Stream {
    pub(super) publisher: Publisher,
    pub(super) lives: Vec<Vec<Message>>,
}

/// What a publisher holds after `next - 1` of an incarnation: all that a reader
/// may ever see of it.
pub(super) struct Places(BTreeMap<(Publisher, Incarnation, u64), Arc<Held>>);

impl Fleet {
    pub(super) fn new(seed: u64, engines: u32, messages: usize) -> Self {
        let mut workload = Workload::new(seed, engines as usize);
        let mut stream = |number: u32| {
            let mut lives = Vec::new();
            for message in workload.next_messages(number.into(), messages) {
                if message.sequence == 0 {
                    lives.push(Vec::new());
                }
                lives.last_mut().expect("a life begins at 0").push(message);
            }
            Stream {
                publisher: publisher(number),
                lives,
            }
        };
        let streams = (0..engines).map(&mut stream).collect();
        Self { streams }
    }

    /// Loses runs of messages, but never a life's first ones or its last one, so
    /// that it is certain what a writer can find out.
    pub(super) fn lose_some(&mut self, seed: u64) {
        let mut random = Random::new(seed);
        let lives = self.streams.iter_mut().flat_map(|stream| &mut stream.lives);
        for life in lives.filter(|life| life.len() > 8) {
            for _ in 0..life.len() / 16 + 1 {
                let from = 2 + random.index(life.len() - 4);
                let to = (from + 1 + random.index(3)).min(life.len() - 1);
                life.drain(from..to);
                if life.len() <= 8 {
                    break;
                }
            }
        }
    }

    /// What one writer that delivers everything once comes to, and every place on
    /// the way.
    pub(super) fn alone(&self) -> (Replica, Places) {
        let mut state = State::new(StateLimits::default());
        let mut alone = Replica::default();
        let mut places = Places(BTreeMap::new());
        for stream in &self.streams {
            for command in stream.commands() {
                let mut deltas = Vec::new();
                let outcome = state.apply(&command, &mut deltas);
                assert_eq!((outcome.gap, outcome.refused), (None, None));
                deltas.iter().for_each(|delta| alone.apply(delta));
                places.note(&alone, &stream.publisher);
            }
        }
        (alone, places)
    }
}

impl Stream {
    /// Every message as a command of its own, and gaps given up where some are
    /// missing.
    fn commands(&self) -> Vec<Command> {
        let mut commands = Vec::new();
        for (life, messages) in self.lives.iter().enumerate() {
            let mut next = 0;
            for message in messages {
                if message.sequence > next {
                    commands.push(Command::Gap {
                        publisher: self.publisher.clone(),
                        incarnation: Some(Incarnation(life as u64 + 1)),
                        next: message.sequence,
                    });
                }
                next = message.sequence + 1;
                commands.push(events(&self.publisher, vec![message.clone()]));
            }
        }
        commands
    }
}

impl Places {
    fn note(&mut self, replica: &Replica, publisher: &Publisher) {
        let cursor = replica.status(publisher).expect("it is known").cursor;
        let place = |next| (publisher.clone(), cursor.incarnation, next);
        // A life may have been shown by a later message, before its first.
        self.0.entry(place(0)).or_default();
        self.0.insert(place(cursor.next), replica.blocks(publisher));
    }

    /// Panics unless every publisher of the replica holds what it did at the
    /// place that its status names.
    pub(super) fn check(&self, replica: &Replica) {
        for status in replica.publishers() {
            let (name, cursor) = (&status.publisher, status.cursor);
            let place = (name.clone(), cursor.incarnation, cursor.next);
            let held = self.0.get(&place);
            let held = held.unwrap_or_else(|| panic!("{name} was never at {cursor:?}"));
            assert_eq!(&replica.blocks(name), held, "{name} at {cursor:?}");
        }
    }
}
