//! One simulated engine's prefix cache: whole blocks, least recently used out
//! first. It is the oracle too: what it holds is the truth.

use std::collections::{BTreeMap, HashMap};

/// A block's engine hash.
pub type Hash = u64;

/// One event, as the engine would publish it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A run of new blocks; indices into the prompt's blocks.
    Stored {
        /// The first new block.
        first: usize,
        /// The last one.
        last: usize,
    },
    /// One block evicted.
    Removed(Hash),
}

/// Blocks by hash, with the time of their last use.
#[derive(Debug)]
pub struct Cache {
    capacity: usize,
    clock: u64,
    used: HashMap<Hash, u64>,
    order: BTreeMap<u64, Hash>,
}

impl Cache {
    /// An empty cache of so many blocks.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            clock: 0,
            used: HashMap::new(),
            order: BTreeMap::new(),
        }
    }

    /// How many blocks it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// Blocks of the prompt that are there without a hole from the first one on.
    #[must_use]
    pub fn matched(&self, prompt: &[Hash]) -> usize {
        prompt
            .iter()
            .take_while(|hash| self.used.contains_key(hash))
            .count()
    }

    /// Runs a prompt: what was missing is stored, and evicts what is oldest.
    pub fn run(&mut self, prompt: &[Hash], events: &mut Vec<Event>) {
        let hit = self.matched(prompt);
        let missing = prompt.len() - hit;
        // What the prompt reuses is in use, so it cannot be evicted for the rest.
        for hash in &prompt[..hit] {
            self.touch(*hash);
        }
        let room = self.capacity - self.used.len().min(self.capacity);
        for _ in room..missing {
            if let Some((_, hash)) = self.order.pop_first() {
                self.used.remove(&hash);
                events.push(Event::Removed(hash));
            }
        }
        if missing > 0 {
            events.push(Event::Stored {
                first: hit,
                last: prompt.len() - 1,
            });
        }
        // An engine frees a prompt's blocks last block first, so a prefix is never
        // older than what comes after it, and no hole ever forms.
        for hash in prompt.iter().rev() {
            self.touch(*hash);
        }
    }

    /// The engine restarts: nothing is left.
    pub fn clear(&mut self) {
        self.used.clear();
        self.order.clear();
    }

    fn touch(&mut self, hash: Hash) {
        self.clock += 1;
        if let Some(before) = self.used.insert(hash, self.clock) {
            self.order.remove(&before);
        }
        self.order.insert(self.clock, hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_tail_is_evicted_first() {
        let mut cache = Cache::new(4);
        let mut events = Vec::new();
        cache.run(&[1, 2, 3], &mut events);
        cache.run(&[7, 8], &mut events);
        assert_eq!(
            events,
            [
                Event::Stored { first: 0, last: 2 },
                Event::Removed(3),
                Event::Stored { first: 0, last: 1 }
            ]
        );
        assert_eq!(cache.matched(&[1, 2, 3]), 2);
        assert_eq!(cache.len(), 4);
    }

    #[test]
    fn a_hit_stores_only_what_is_missing() {
        let mut cache = Cache::new(8);
        let mut events = Vec::new();
        cache.run(&[1, 2], &mut events);
        events.clear();
        cache.run(&[1, 2, 3], &mut events);
        assert_eq!(events, [Event::Stored { first: 2, last: 2 }]);
    }
}
