//! One ladder is one throw of the dice: several seeds beside each other.

use std::fmt::Write as _;

use crate::report::Report;
use crate::strategy::Strategy;

/// As near to the published figures as this counts as reproduced.
const NEAR: f64 = 0.15;

/// The same study with several seeds.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SeedsReport {
    /// Each strategy over the seeds; none where the load is not the published one.
    pub strategies: Vec<SeedSpread>,
    /// One report per seed.
    pub runs: Vec<Report>,
}

/// Measured over published, over the seeds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct SeedSpread {
    /// Which.
    pub strategy: Strategy,
    /// Output tokens/s.
    pub output_ratio: Range,
    /// Mean time to the first token.
    pub ttft_mean_ratio: Range,
    /// P90 of the time to the first token.
    pub ttft_p90_ratio: Range,
    /// Seeds of which all three are within 15 %.
    pub near: usize,
}

/// A few values, in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Range {
    /// The smallest.
    pub least: f64,
    /// As many are below as above; the mean of the middle two of an even number.
    pub median: f64,
    /// The largest.
    pub most: f64,
}

impl Range {
    /// Of values in any order; all 0 if there are none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (Some(least), Some(most)) = (values.first(), values.last()) else {
            return Self::default();
        };
        let middle = values.len() / 2;
        let below = values[(values.len() - 1) / 2];
        Self {
            least: *least,
            median: f64::midpoint(below, values[middle]),
            most: *most,
        }
    }
}

impl SeedsReport {
    /// Of reports of the same strategies.
    #[must_use]
    pub fn of(runs: Vec<Report>) -> Self {
        let first = runs.first().map_or(&[][..], |run| &run.strategies);
        let strategies = (0..first.len()).filter_map(|place| spread(&runs, place));
        Self {
            strategies: strategies.collect(),
            runs,
        }
    }
}

fn spread(runs: &[Report], place: usize) -> Option<SeedSpread> {
    let all = runs.iter().filter_map(|run| run.strategies.get(place));
    let compared: Vec<_> = all.clone().filter_map(|of| of.published).collect();
    let near = |ratio: f64| (ratio - 1.0).abs() <= NEAR;
    let ratio = |of: fn(&crate::Comparison) -> f64| Range::of(compared.iter().map(of).collect());
    Some(SeedSpread {
        strategy: all.clone().next()?.strategy,
        output_ratio: ratio(|of| of.output_ratio),
        ttft_mean_ratio: ratio(|of| of.ttft_mean_ratio),
        ttft_p90_ratio: ratio(|of| of.ttft_p90_ratio),
        near: compared
            .iter()
            .filter(|of| {
                near(of.output_ratio) && near(of.ttft_mean_ratio) && near(of.ttft_p90_ratio)
            })
            .count(),
    })
    .filter(|_| !compared.is_empty())
}

/// One row per strategy and seed, and one row of measured over published below:
/// median, and from the least to the most.
#[must_use]
pub fn by_seed(report: &SeedsReport) -> String {
    let mut out = format!(
        "{:<20} {:>6} {:>9} {:>9} {:>9} {:>8} {:>8} | {:>7} {:>7} {:>7}\n",
        "strategy",
        "seed",
        "out tok/s",
        "TTFT mean",
        "P90 s",
        "queue",
        "hits %",
        "tok/s",
        "mean",
        "P90"
    );
    let strategies = report.runs.first().map_or(0, |run| run.strategies.len());
    for place in 0..strategies {
        for run in &report.runs {
            let of = &run.strategies[place];
            let s = &of.summary;
            let ratios = of.published.map_or_else(String::new, |p| {
                let ratios = [p.output_ratio, p.ttft_mean_ratio, p.ttft_p90_ratio];
                ratios.map(|ratio| format!(" {ratio:>7.3}")).concat()
            });
            // A `String` takes everything.
            let _ = writeln!(
                out,
                "{:<20} {:>6} {:>9.1} {:>9.3} {:>9.3} {:>8.2} {:>8.1} |{ratios}",
                of.strategy.name(),
                run.options.seed,
                s.output_tokens_per_second,
                s.ttft_mean,
                s.ttft_p90,
                s.wait_queue,
                s.hit_rate * 100.0,
            );
        }
        let strategy = report.runs[0].strategies[place].strategy;
        let spread = report.strategies.iter().find(|of| of.strategy == strategy);
        if let Some(spread) = spread {
            out.push_str(&summed_up(spread, report.runs.len()));
        }
    }
    out
}

fn summed_up(of: &SeedSpread, seeds: usize) -> String {
    let ratios = [of.output_ratio, of.ttft_mean_ratio, of.ttft_p90_ratio];
    let row = |name: &str, value: fn(&Range) -> f64| {
        let cells = ratios
            .map(|ratio| format!(" {:>7.3}", value(&ratio)))
            .concat();
        format!("{name:<74} |{cells}\n")
    };
    let near = format!("  median; within 15 % of published: {} of {seeds}", of.near);
    row(&near, |range| range.median)
        + &row("  least", |range| range.least)
        + &row("  most", |range| range.most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_is_between_two() {
        assert_eq!(Range::of(Vec::new()), Range::default());
        let range = Range::of(vec![4.0, 1.0, 2.0]);
        assert_eq!((range.least, range.median, range.most), (1.0, 2.0, 4.0));
        assert_eq!(Range::of(vec![4.0, 1.0, 2.0, 3.0]).median, 2.5);
    }
}
