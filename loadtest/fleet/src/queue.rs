//! What happens next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use loadtest_engine_sim::engine::CacheEvent;

/// Something that happens at a moment.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A request reaches the router.
    Arrives { request: usize },
    /// A request reaches the engine that was chosen for it.
    Admitted { request: usize },
    /// An engine's step is over.
    StepEnds { engine: usize },
    /// An engine's events reach the index.
    Told {
        engine: usize,
        events: Vec<CacheEvent>,
    },
    /// Engines are asked for their loads.
    Scrape,
}

/// Moments in order; of equal moments, what was put in first comes first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<(Duration, u64, usize)>>,
    /// By the place that the heap names.
    waiting: Vec<Option<Happening>>,
    free: Vec<usize>,
    count: u64,
}

impl Queue {
    pub(crate) fn at(&mut self, time: Duration, happening: Happening) {
        let place = self.free.pop().unwrap_or(self.waiting.len());
        if place == self.waiting.len() {
            self.waiting.push(None);
        }
        self.waiting[place] = Some(happening);
        self.count += 1;
        self.heap.push(Reverse((time, self.count, place)));
    }

    pub(crate) fn next(&mut self) -> Option<(Duration, Happening)> {
        let Reverse((time, _, place)) = self.heap.pop()?;
        self.free.push(place);
        let happening = self.waiting[place].take().expect("put there by `at`");
        Some((time, happening))
    }
}
