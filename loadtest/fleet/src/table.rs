//! Reports as text.

use std::fmt::Write as _;

use crate::decisions::Costs;
use crate::report::{Report, StrategyReport};

/// One row per strategy; where the load is the published one, a row of published
/// figures and one of ratios below it.
#[must_use]
pub fn summary(report: &Report) -> String {
    let mut out = format!(
        "{:<20} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>6} {:>8} {:>8}\n",
        "strategy",
        "out tok/s",
        "TTFT mean",
        "P50 s",
        "P90 s",
        "P99 s",
        "ITL ms",
        "queue",
        "hits %",
        "bal.",
        "off tok",
        "refused"
    );
    for of in &report.strategies {
        row(&mut out, of);
    }
    out
}

fn row(out: &mut String, of: &StrategyReport) {
    let s = &of.summary;
    // A `String` takes everything.
    let _ = writeln!(
        out,
        "{:<20} {:>9.1} {:>9.3} {:>9.3} {:>9.3} {:>9.3} {:>8.1} {:>8.2} {:>8.1} {:>6.2} {:>8.0} {:>8}",
        of.strategy.name(),
        s.output_tokens_per_second,
        s.ttft_mean,
        s.ttft_p50,
        s.ttft_p90,
        s.ttft_p99,
        s.itl_mean * 1e3,
        s.wait_queue,
        s.hit_rate * 100.0,
        s.balance,
        s.prediction_error,
        s.refused,
    );
    let Some(p) = &of.published else { return };
    let _ = writeln!(
        out,
        "{:<20} {:>9.1} {:>9.3} {:>9} {:>9.3} {:>9} {:>8.1} {:>8.2}",
        "  published",
        p.output_tokens_per_second,
        p.ttft_mean,
        "",
        p.ttft_p90,
        "",
        p.itl_mean * 1e3,
        p.wait_queue,
    );
    let _ = writeln!(
        out,
        "{:<20} {:>9.2} {:>9.2} {:>9} {:>9.2}",
        "  ratio", p.output_ratio, p.ttft_mean_ratio, "", p.ttft_p90_ratio,
    );
}

/// One row per stage.
#[must_use]
pub fn by_stage(of: &StrategyReport) -> String {
    let mut out = format!(
        "{}\n{:>6} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>6} {:>8}\n",
        of.strategy.name(),
        "req/s",
        "out tok/s",
        "TTFT mean",
        "P90 s",
        "P99 s",
        "ITL ms",
        "queue",
        "KV %",
        "hits %",
        "bal.",
        "refused"
    );
    for stage in &of.stages {
        let _ = writeln!(
            out,
            "{:>6} {:>9.1} {:>9.3} {:>9.3} {:>9.3} {:>8.1} {:>8.2} {:>8.1} {:>8.1} {:>6.2} {:>8}",
            stage.rate,
            stage.output_tokens_per_second,
            stage.ttft.mean,
            stage.ttft.p90,
            stage.ttft.p99,
            stage.itl.mean * 1e3,
            stage.wait_queue.mean,
            stage.kv_usage.mean * 100.0,
            stage.hit_rate * 100.0,
            stage.balance,
            stage.refused,
        );
    }
    out
}

/// What the mean time to the first token is made of, in milliseconds; one row per
/// strategy.
#[must_use]
pub fn parts(report: &Report) -> String {
    let mut out = format!(
        "{:<20} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10}\n",
        "TTFT mean, ms",
        "all",
        "way",
        "tokenise",
        "running",
        "queue",
        "prompt",
        "step",
        "less waste"
    );
    for of in &report.strategies {
        let p = &of.summary.ttft_parts;
        let each = [
            p.sum(),
            p.way,
            p.admission,
            p.running_step,
            p.queue,
            p.own_prefill,
            p.step,
        ];
        let each = each
            .map(|seconds| format!(" {:>8.1}", seconds * 1e3))
            .concat();
        let name = of.strategy.name();
        let _ = writeln!(out, "{name:<20}{each} {:>10.1}", p.without_waste() * 1e3);
    }
    out
}

/// The index at the end of the run, and decisions; one row per strategy of which
/// they were measured.
#[must_use]
pub fn costs(report: &Report) -> String {
    let mut out = format!(
        "{:<20} {:>8} {:>10} {:>12} {:>9} {:>8} | {:>12} {:>8} {:>8} {:>7} {:>7} {:>7} {:>7}\n",
        "index",
        "hits %",
        "blocks",
        "memberships",
        "MB",
        "B each",
        "decisions/s",
        "p50 us",
        "p99 us",
        "keys",
        "lookup",
        "choice",
        "record"
    );
    for of in &report.strategies {
        let Some(Costs {
            index,
            decisions: d,
        }) = &of.costs
        else {
            continue;
        };
        let _ = write!(
            out,
            "{:<20} {:>8.1} {:>10} {:>12} {:>9.1} {:>8.1} |",
            of.strategy.name(),
            of.summary.hit_rate * 100.0,
            index.blocks,
            index.memberships,
            index.bytes as f64 / 1e6,
            index.bytes_per_membership,
        );
        let _ = writeln!(
            out,
            " {:>12.0} {:>8.1} {:>8.1} {:>7.1} {:>7.1} {:>7.1} {:>7.1}",
            d.per_second, d.p50_us, d.p99_us, d.keys_us, d.lookup_us, d.choice_us, d.record_us
        );
    }
    out
}
