//! What came of one strategy by both clocks.

use std::collections::BTreeMap;

use crate::figures::{StageFigures, Totals};
use crate::report::{StrategyReport, Summary};
use crate::strategy::Strategy;

/// One strategy by one clock.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Side {
    /// The measured stages in one row.
    pub summary: Summary,
    /// Each measured stage. Gaps between tokens are measured in virtual time only.
    pub stages: Vec<StageFigures>,
    /// Share of requests, those of the warm-up too, of which the engine had as many
    /// tokens as predicted.
    pub exact: f64,
}

/// One strategy by both clocks.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct WallRun {
    /// Which.
    pub strategy: Strategy,
    /// In virtual time: as often as asked for, with ties decided differently.
    pub simulated: Vec<Side>,
    /// By the wall clock.
    pub measured: Side,
    /// Percentage points by which the measured hit rate is above the mean of the
    /// others.
    pub difference: f64,
    /// Requests that the picker did not decide on in the strategy's way.
    pub fallbacks: usize,
    /// Why endpoints were chosen, by the picker's reasons.
    pub reasons: BTreeMap<String, usize>,
    /// The latest that a request was sent after its moment, in seconds.
    pub latest: f64,
}

/// What the wall clock's run gives.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) stages: Vec<StageFigures>,
    pub(super) totals: Totals,
    pub(super) fallbacks: usize,
    pub(super) reasons: BTreeMap<String, usize>,
    pub(super) latest: f64,
}

impl Side {
    pub(super) fn simulated(report: &StrategyReport) -> Self {
        Self::new(report.stages.clone(), &report.totals)
    }

    fn new(stages: Vec<StageFigures>, totals: &Totals) -> Self {
        let wrong = totals.mispredicted as f64 / totals.finished.max(1) as f64;
        Self {
            summary: Summary::of(&stages),
            stages,
            exact: 1.0 - wrong,
        }
    }
}

impl WallRun {
    pub(super) fn new(strategy: Strategy, simulated: Vec<Side>, outcome: Outcome) -> Self {
        let measured = Side::new(outcome.stages, &outcome.totals);
        let expected = mean(&simulated, |side| side.summary.hit_rate);
        Self {
            strategy,
            difference: (measured.summary.hit_rate - expected) * 100.0,
            simulated,
            measured,
            fallbacks: outcome.fallbacks,
            reasons: outcome.reasons,
            latest: outcome.latest,
        }
    }

    /// The mean over the runs in virtual time.
    pub(super) fn expected(&self, of: impl Fn(&Side) -> f64) -> f64 {
        mean(&self.simulated, of)
    }

    /// Percentage points by which hit rates in virtual time differ from their mean:
    /// one standard deviation.
    pub(super) fn spread(&self) -> f64 {
        let expected = self.expected(|side| side.summary.hit_rate);
        let square = |side: &Side| (side.summary.hit_rate - expected).powi(2);
        self.expected(square).sqrt() * 100.0
    }

    /// Whether the hit rates differ by at most so many percentage points.
    #[must_use]
    pub fn agrees(&self, points: f64) -> bool {
        self.difference.abs() <= points
    }
}

fn mean(sides: &[Side], of: impl Fn(&Side) -> f64) -> f64 {
    sides.iter().map(of).sum::<f64>() / sides.len().max(1) as f64
}
