//! Several strategies under the same load.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::decisions::Costs;
use crate::figures::{StageFigures, Totals};
use crate::fleet::{Fleet, FleetError, FleetOutcome};
use crate::options::FleetOptions;
use crate::parts::TtftParts;
use crate::published::PublishedRun;
use crate::strategy::Strategy;

/// A study's outcome.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Report {
    /// Its inputs.
    pub options: FleetOptions,
    /// In the order asked for.
    pub strategies: Vec<StrategyReport>,
}

/// What became of one strategy.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StrategyReport {
    /// Which.
    pub strategy: Strategy,
    /// The measured stages in one row.
    pub summary: Summary,
    /// The same beside the published row; where the load is the published one.
    pub published: Option<Comparison>,
    /// Each measured stage.
    pub stages: Vec<StageFigures>,
    /// Counts, with the warm-up.
    pub totals: Totals,
    /// What deciding took on this machine, if it was measured.
    pub costs: Option<Costs>,
}

/// Measured stages in one row, put together as the published report does it.
/// Times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Mean of the stages.
    pub output_tokens_per_second: f64,
    /// As are all that follow: weighted by requests that were answered.
    pub ttft_mean: f64,
    /// What that mean is made of.
    pub ttft_parts: TtftParts,
    /// Mean of the stages' medians.
    pub ttft_p50: f64,
    /// Mean of the stages' quantiles.
    pub ttft_p90: f64,
    /// Mean of the stages' quantiles.
    pub ttft_p99: f64,
    /// Between two tokens.
    pub itl_mean: f64,
    /// Mean of the stages' quantiles.
    pub itl_p90: f64,
    /// Between two tokens, by request.
    pub tpot_mean: f64,
    /// Requests that wait at an engine; weighted by time.
    pub wait_queue: f64,
    /// Share of prompt tokens found.
    pub hit_rate: f64,
    /// Share of requests of which an engine found less than half.
    pub missed: f64,
    /// Tokens by which predictions were wrong.
    pub prediction_error: f64,
    /// The busiest engine over the mean.
    pub balance: f64,
    /// Requests turned away by the gateway.
    pub refused: usize,
}

/// Measured over published.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Comparison {
    /// Published output tokens/s.
    pub output_tokens_per_second: f64,
    /// Ours over that.
    pub output_ratio: f64,
    /// Published P90 of the time to the first token.
    pub ttft_p90: f64,
    /// Ours over that.
    pub ttft_p90_ratio: f64,
    /// Published mean time to the first token.
    pub ttft_mean: f64,
    /// Ours over that.
    pub ttft_mean_ratio: f64,
    /// Published mean time between tokens, doubled.
    pub itl_mean: f64,
    /// Published mean queue.
    pub wait_queue: f64,
}

impl Summary {
    pub(crate) fn of(stages: &[StageFigures]) -> Self {
        let answered = |stage: &StageFigures| (stage.requests - stage.refused) as f64;
        let mean = |weight: &dyn Fn(&StageFigures) -> f64, of: fn(&StageFigures) -> f64| {
            let all: f64 = stages.iter().map(weight).sum();
            let sum: f64 = stages.iter().map(|stage| weight(stage) * of(stage)).sum();
            sum / all.max(f64::MIN_POSITIVE)
        };
        let weighted = |of: fn(&StageFigures) -> f64| mean(&answered, of);
        Self {
            output_tokens_per_second: mean(&|_| 1.0, |stage| stage.output_tokens_per_second),
            ttft_mean: weighted(|stage| stage.ttft.mean),
            ttft_parts: TtftParts::mean(stages.iter().map(|s| (answered(s), s.ttft_parts))),
            ttft_p50: weighted(|stage| stage.ttft.p50),
            ttft_p90: weighted(|stage| stage.ttft.p90),
            ttft_p99: weighted(|stage| stage.ttft.p99),
            itl_mean: weighted(|stage| stage.itl.mean),
            itl_p90: weighted(|stage| stage.itl.p90),
            tpot_mean: weighted(|stage| stage.tpot.mean),
            wait_queue: mean(&|stage| stage.seconds, |stage| stage.wait_queue.mean),
            hit_rate: weighted(|stage| stage.hit_rate),
            missed: weighted(|stage| stage.missed),
            prediction_error: weighted(|stage| stage.prediction_error),
            balance: weighted(|stage| stage.balance),
            refused: stages.iter().map(|stage| stage.refused).sum(),
        }
    }
}

impl Comparison {
    fn of(summary: &Summary, run: &PublishedRun) -> Self {
        let row = run.summary();
        Self {
            output_tokens_per_second: row.output_tokens_per_second,
            output_ratio: summary.output_tokens_per_second / row.output_tokens_per_second,
            ttft_p90: row.ttft_p90,
            ttft_p90_ratio: summary.ttft_p90 / row.ttft_p90,
            ttft_mean: row.ttft_mean,
            ttft_mean_ratio: summary.ttft_mean / row.ttft_mean,
            itl_mean: row.itl_mean,
            wait_queue: run.wait_queue,
        }
    }
}

/// Runs each strategy once, up to `threads` at a time. `progress` is told the
/// strategy's place, stages done, of how many, and the virtual time.
///
/// # Errors
/// If the options contradict each other.
pub fn run(
    options: &FleetOptions,
    strategies: &[Strategy],
    threads: usize,
    progress: &(dyn Fn(usize, usize, usize, Duration) + Sync),
) -> Result<Report, FleetError> {
    options.validate()?;
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, strategies.len().max(1)) {
            scope.spawn(|| {
                while let Some((place, strategy)) = take(&next, strategies) {
                    let told = |done, all, now| progress(place, done, all, now);
                    let outcome = one(options, strategy, &told);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done.push((place, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    let outcomes = done.into_iter().map(|(_, outcome)| outcome);
    Ok(Report {
        strategies: outcomes.collect::<Result<_, _>>()?,
        options: options.clone(),
    })
}

fn take(next: &AtomicUsize, strategies: &[Strategy]) -> Option<(usize, Strategy)> {
    let place = next.fetch_add(1, Ordering::Relaxed);
    strategies.get(place).map(|strategy| (place, *strategy))
}

fn one(
    options: &FleetOptions,
    strategy: Strategy,
    progress: crate::Progress<'_>,
) -> Result<StrategyReport, FleetError> {
    let FleetOutcome {
        stages,
        totals,
        costs,
    } = Fleet::new(options, strategy)?.run(progress)?;
    let summary = Summary::of(&stages);
    Ok(StrategyReport {
        published: is_documented(options)
            .then(|| Comparison::of(&summary, PublishedRun::of(strategy))),
        strategy,
        summary,
        stages,
        totals,
        costs,
    })
}

/// Whether the load and the engines are those of the published report.
fn is_documented(options: &FleetOptions) -> bool {
    let documented = FleetOptions::default();
    options.workload == documented.workload
        && options.pickers == documented.pickers
        && options.policy == documented.policy
        && options.published_scorer == documented.published_scorer
        && options.engines == documented.engines
        && options.kv_tokens == documented.kv_tokens
        && options.in_flight_limit == documented.in_flight_limit
}
