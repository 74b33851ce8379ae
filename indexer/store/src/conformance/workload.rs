//! Engines that store, evict, clear and restart, from one seed.

use proto_model::{Batch, Change, Message};

use super::make::{batch, events, message, publisher, removed, stored};
use super::random::Random;

/// A few engines with caches of a few blocks.
pub(super) struct Workload {
    random: Random,
    engines: Vec<Engine>,
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
        }
    }

    /// The next batch: some messages of one engine.
    pub(super) fn next_batch(&mut self) -> Batch {
        let at = self.random.below(self.engines.len() as u64);
        let count = 1 + self.random.below(3);
        let messages = (0..count).map(|_| self.next_message(at)).collect();
        let number = u32::try_from(at).expect("few engines");
        batch(vec![events(&publisher(number), messages)])
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
