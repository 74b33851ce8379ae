//! Engines that store, evict, clear and restart, from one seed.

use proto_model::{Batch, Change, Command, Message, RouteKind, RouteRecorded, Timestamp};

use super::make::{batch, events, keys, message, publisher, removed, route, stored};
use super::random::Random;

/// A few engines with caches of a few blocks.
pub(super) struct Workload {
    random: Random,
    engines: Vec<Engine>,
    /// The clock of those who record routes, if any do.
    routed_at: Option<u64>,
}

#[derive(Default)]
struct Engine {
    sequence: u64,
    time: u64,
    next_hash: u64,
    held: Vec<u64>,
}

impl Workload {
    pub(super) fn new(seed: u64, engines: usize) -> Self {
        let engines = (0..engines)
            .map(|_| Engine {
                time: 1_000,
                ..Engine::default()
            })
            .collect();
        Self {
            random: Random::new(seed),
            engines,
            routed_at: None,
        }
    }

    /// With routes to the engines, and to one more that never says anything. Only
    /// for one writer: the order of routes matters.
    pub(super) fn with_routes(self) -> Self {
        Self {
            routed_at: Some(0),
            ..self
        }
    }

    /// The next batch: some messages of one engine.
    pub(super) fn next_batch(&mut self) -> Batch {
        let at = self.random.below(self.engines.len() as u64);
        let count = 1 + self.random.below(3);
        let messages = (0..count).map(|_| self.next_message(at)).collect();
        let number = u32::try_from(at).expect("few engines");
        let mut commands = vec![events(&publisher(number), messages)];
        if let Some(time) = self.routed_at {
            self.routed_at = Some(time + 1);
            commands.extend(self.next_route(time));
        }
        batch(commands)
    }

    /// Now and then a route, or a sweep.
    fn next_route(&mut self, time: u64) -> Option<Command> {
        const SECOND: u64 = 1_000_000;
        let at = Timestamp(SECOND * time);
        let dice = self.random.below(100);
        if dice >= 45 {
            return None;
        }
        if dice < 5 {
            // From time to time so late that empty tables are let go.
            let late = if dice == 0 { 700 * SECOND } else { 0 };
            let until = Timestamp(at.0 + late);
            return Some(Command::Expire { until });
        }
        let index = self.random.index(self.engines.len() + 1);
        let held = self.engines.get(index).map(|engine| engine.held.as_slice());
        // What engines hold begins a prompt of its own only here and there, which
        // is enough: a route is about any keys.
        let start = self.random.index(10);
        let hashes = held.unwrap_or(&[1, 2, 3, 4]).iter().skip(start).take(6);
        let heads = hashes.flat_map(|hash| keys(&[*hash]));
        let kinds = [RouteKind::Speculative, RouteKind::Estimated];
        let kind = kinds[usize::from(dice.is_multiple_of(2))];
        let lasts = SECOND * (1 + self.random.below(30));
        let number = u32::try_from(index).expect("few engines");
        let route = route(&publisher(number), kind, &heads.collect::<Vec<_>>());
        Some(Command::RouteRecorded(RouteRecorded {
            recorded_at: at,
            expires_at: route.expires_at.map(|_| Timestamp(at.0 + lasts)),
            capacity: 12,
            ..route
        }))
    }

    /// The next `count` batches as one.
    pub(super) fn next_batches(&mut self, count: usize) -> Batch {
        batch(
            (0..count)
                .flat_map(|_| self.next_batch().commands)
                .collect(),
        )
    }

    /// The next messages of one engine.
    pub(super) fn next_messages(&mut self, at: u64, count: usize) -> Vec<Message> {
        (0..count).map(|_| self.next_message(at)).collect()
    }

    fn next_message(&mut self, at: u64) -> Message {
        let dice = self.random.below(100);
        let (pick, fill) = (self.random.number(), 1 + self.random.below(8));
        let index = usize::try_from(at).expect("few engines");
        let engine = &mut self.engines[index];
        engine.time += 1;
        let change = match dice {
            0 => {
                *engine = Engine {
                    time: engine.time + 3_000_000,
                    ..Engine::default()
                };
                Change::Cleared { medium: None }
            }
            1 => {
                engine.held.clear();
                Change::Cleared { medium: None }
            }
            2..40 if !engine.held.is_empty() => engine.evict(pick, fill),
            _ => engine.store(fill, at),
        };
        let message = message(engine.sequence, engine.time, vec![change]);
        engine.sequence += 1;
        message
    }
}

impl Engine {
    fn store(&mut self, count: u64, at: u64) -> Change {
        let first = (at << 32) + self.next_hash + 1;
        self.next_hash += count;
        let parent = self.held.last().copied();
        let hashes: Vec<u64> = (first..first + count).collect();
        self.held.extend(&hashes);
        stored(parent, &hashes)
    }

    fn evict(&mut self, pick: u64, count: u64) -> Change {
        let count = count.min(self.held.len() as u64);
        let taken = (0..count).map(|n| {
            let at = pick.wrapping_add(n * 7) % self.held.len() as u64;
            self.held
                .swap_remove(usize::try_from(at).expect("an index"))
        });
        removed(&taken.collect::<Vec<_>>())
    }
}
