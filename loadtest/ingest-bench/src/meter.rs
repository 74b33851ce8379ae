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
