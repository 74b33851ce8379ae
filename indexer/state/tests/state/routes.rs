//! Routes: what is told of them, what ends them, and their limits.

mod bounds;
mod ended;
mod told;

use indexer_state::{State, StateLimits};
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

fn keys_of(delta: &Delta) -> usize {
    match delta {
        Delta::Stored { keys, .. } | Delta::Removed { keys, .. } => keys.len(),
        _ => 0,
    }
}
