//! Both clocks side by side.

use std::fmt::Write as _;

use crate::options::FleetOptions;

use super::outcome::{Side, WallRun};

/// A comparison's outcome.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct WallReport {
    /// What it was measured on.
    pub machine: String,
    /// What both clocks were given.
    pub fleet: FleetOptions,
    /// In the order asked for.
    pub runs: Vec<WallRun>,
}

impl WallReport {
    /// Of runs on this machine.
    #[must_use]
    pub fn new(fleet: FleetOptions, runs: Vec<WallRun>) -> Self {
        Self {
            machine: loadtest_gateway::machine(),
            fleet,
            runs,
        }
    }
}

/// Two rows per strategy: the mean of the runs in virtual time, with the spread of
/// their hit rates, and the wall clock with the difference of the hit rates.
#[must_use]
pub fn wall_table(report: &WallReport) -> String {
    let mut out = heading(report);
    // A `String` takes everything.
    let _ = writeln!(
        out,
        "{:<10} {:<8} {:>7} {:>7} {:>8} {:>8} {:>10} {:>7} {:>7} {:>9} {:>9} {:>9}",
        "strategy",
        "clock",
        "hits %",
        "points",
        "off tok",
        "exact %",
        "TTFT mean",
        "P90 s",
        "queue",
        "out tok/s",
        "fallback",
        "latest s"
    );
    for run in &report.runs {
        let spread = format!("±{:.2}", run.spread());
        let expected = FIGURES.map(|figure| run.expected(figure));
        let points = format!("{:+.2}", run.difference);
        let measured = FIGURES.map(|figure| figure(&run.measured));
        let _ = writeln!(
            out,
            "{}\n{} {:>9} {:>9.3}",
            row([run.strategy.name(), "virtual", &spread], expected),
            row(["", "wall", &points], measured),
            run.fallbacks,
            run.latest
        );
    }
    out
}

fn heading(report: &WallReport) -> String {
    let (fleet, load) = (&report.fleet, &report.fleet.workload);
    let stages = load.stages.iter();
    let stages: Vec<_> = stages
        .map(|stage| format!("{}x{}", stage.rate, stage.seconds))
        .collect();
    format!(
        "{} engines of {} tokens in blocks of {}, {} x {} users, prompts of {} + {} tokens, \
         replies of {}, stages {}\n{}\n",
        fleet.engines,
        fleet.kv_tokens,
        fleet.block_size,
        load.customers,
        load.users,
        load.context_tokens,
        load.question_tokens,
        load.reply_tokens,
        stages.join(" "),
        report.machine,
    )
}

/// What the columns show of a side.
const FIGURES: [fn(&Side) -> f64; 7] = [
    |side| side.summary.hit_rate * 100.0,
    |side| side.summary.prediction_error,
    |side| side.exact * 100.0,
    |side| side.summary.ttft_mean,
    |side| side.summary.ttft_p90,
    |side| side.summary.wait_queue,
    |side| side.summary.output_tokens_per_second,
];

fn row([name, clock, points]: [&str; 3], figures: [f64; 7]) -> String {
    let [hits, off, exact, mean, p90, queue, output] = figures;
    format!(
        "{name:<10} {clock:<8} {hits:>7.2} {points:>7} {off:>8.1} {exact:>8.1} {mean:>10.3} \
         {p90:>7.3} {queue:>7.2} {output:>9.1}"
    )
}
