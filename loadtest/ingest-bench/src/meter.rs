//! Time and allocations of each stage.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::allocations;

/// What one stage cost.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cost {
    pub(crate) stage: &'static str,
    /// The fastest round's.
    pub(crate) ns_per_block_event: f64,
    /// The last round's.
    pub(crate) allocations_per_block_event: f64,
}

/// Sums up rounds.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    stages: Vec<Stage>,
}

#[derive(Debug)]
struct Stage {
    name: &'static str,
    time: Duration,
    allocations: u64,
    best: f64,
    per_event: f64,
}

impl Meter {
    /// Does the work as part of a stage.
    pub(crate) fn time<R>(&mut self, name: &'static str, work: impl FnOnce() -> R) -> R {
        let (before, start) = (allocations::made(), Instant::now());
        let result = work();
        let (time, allocations) = (start.elapsed(), allocations::made() - before);
        let stage = self.stage(name);
        stage.time += time;
        stage.allocations += allocations;
        result
    }

    fn stage(&mut self, name: &'static str) -> &mut Stage {
        let known = self.stages.iter().position(|stage| stage.name == name);
        let index = known.unwrap_or_else(|| {
            self.stages.push(Stage {
                name,
                time: Duration::ZERO,
                allocations: 0,
                best: f64::INFINITY,
                per_event: 0.0,
            });
            self.stages.len() - 1
        });
        &mut self.stages[index]
    }

    /// A round of so many block events is over.
    pub(crate) fn end_round(&mut self, block_events: u64) {
        let events = block_events as f64;
        for stage in &mut self.stages {
            let nanos = stage.time.as_nanos() as f64 / events;
            stage.best = stage.best.min(nanos);
            stage.per_event = stage.allocations as f64 / events;
            stage.time = Duration::ZERO;
            stage.allocations = 0;
        }
    }

    pub(crate) fn costs(&self) -> Vec<Cost> {
        let cost = |stage: &Stage| Cost {
            stage: stage.name,
            ns_per_block_event: stage.best,
            allocations_per_block_event: stage.per_event,
        };
        self.stages.iter().map(cost).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(meter: &mut Meter, name: &'static str, nanos: u64, allocations: u64) {
        let stage = meter.stage(name);
        stage.time += Duration::from_nanos(nanos);
        stage.allocations += allocations;
    }

    #[test]
    fn the_fastest_round_counts_and_the_last_ones_allocations() {
        let mut meter = Meter::default();
        // A stage's parts are summed up before they are compared.
        stage(&mut meter, "one", 300, 7);
        stage(&mut meter, "other", 50, 0);
        stage(&mut meter, "one", 100, 1);
        meter.end_round(100);
        stage(&mut meter, "one", 900, 25);
        stage(&mut meter, "other", 20, 10);
        meter.end_round(100);
        let [one, other] = &meter.costs()[..] else {
            panic!("{meter:?}");
        };
        assert_eq!((one.stage, other.stage), ("one", "other"));
        assert_eq!(
            (one.ns_per_block_event, other.ns_per_block_event),
            (4.0, 0.2)
        );
        let allocations = |cost: &Cost| cost.allocations_per_block_event;
        assert_eq!((allocations(one), allocations(other)), (0.25, 0.1));
    }

    #[test]
    fn work_is_timed_and_its_allocations_are_counted() {
        let mut meter = Meter::default();
        let list = meter.time("three", || [1, 2, 3].map(Box::new));
        meter.time("none", || drop(list));
        meter.end_round(1);
        let costs = meter.costs();
        let made = |at: usize| costs[at].allocations_per_block_event;
        assert_eq!((made(0), made(1)), (3.0, 0.0));
        assert!(costs[0].ns_per_block_event > 0.0);
    }
}
