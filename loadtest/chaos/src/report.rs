//! What a program run prints: a line per run, a table at the end, or JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::findings::{Found, Violation};

/// Violations of one run that its lines name.
const SHOWN: usize = 6;

/// What a scenario measured itself.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Measured {
    /// From the fault to the first append acknowledged after it.
    pub(crate) resumed: Option<Duration>,
    /// The longest time without an acknowledgement.
    pub(crate) longest_write_gap: Option<Duration>,
}

impl Measured {
    /// Only that.
    pub(crate) fn resumed(resumed: Option<Duration>) -> Self {
        Self {
            resumed,
            ..Self::default()
        }
    }
}

/// One run.
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    pub(crate) seed: u64,
    pub(crate) measured: Measured,
    pub(crate) found: Found,
}

/// All runs of a scenario.
pub(crate) struct Report {
    pub(crate) scenario: &'static str,
    pub(crate) backend: &'static str,
    /// The shortest and the longest election timeout.
    pub(crate) election: (Duration, Duration),
    pub(crate) rows: Vec<Row>,
}

impl Row {
    /// One line, and one more for each violation.
    pub(crate) fn lines(&self) -> String {
        let counts = &self.found.counts;
        let of = |name: &str| counts.get(name).copied().unwrap_or(0);
        let verdict = if self.found.total == 0 {
            "ok"
        } else {
            "VIOLATED"
        };
        let mut line = format!(
            "{:<16} seed {:<6} {verdict:<8} {:>6.1} s  {:>7} block events {:>6} acknowledged {:>6} answers checked",
            self.scenario,
            self.seed,
            self.found.took.as_secs_f64(),
            of("block_events"),
            of("acknowledged"),
            of("checks"),
        );
        if let Some(resumed) = self.measured.resumed {
            line += &format!("  writes resumed after {:>5} ms", resumed.as_millis());
        }
        if let Some(gap) = self.measured.longest_write_gap {
            line += &format!("  longest write gap {:>5} ms", gap.as_millis());
        }
        if of("scores") > 0 {
            line += &format!(
                "  {} of {} scores failed",
                of("scores_failed"),
                of("scores")
            );
        }
        for violation in self.found.violations.iter().take(SHOWN) {
            line += &format!("\n  {}", text(violation, self.seed));
        }
        if self.found.total > SHOWN as u64 {
            line += &format!("\n  and {} more", self.found.total - SHOWN as u64);
        }
        line
    }

    fn json(&self) -> Value {
        let violations: Vec<_> = self
            .found
            .violations
            .iter()
            .map(|v| text(v, self.seed))
            .collect();
        json!({
            "seed": self.seed,
            "seconds": self.found.took.as_secs_f64(),
            "violated": self.found.total,
            "violations": violations,
            "counts": self.found.counts,
            "writes_resumed_ms": self.measured.resumed.map(milliseconds),
            "longest_write_gap_ms": self.measured.longest_write_gap.map(milliseconds),
        })
    }
}

fn text(violation: &Violation, seed: u64) -> String {
    format!(
        "seed {seed}, {:.3} s, step `{}`: {}: {}",
        violation.at.as_secs_f64(),
        violation.step,
        violation.rule,
        violation.what
    )
}

impl Report {
    pub(crate) fn violated(&self) -> bool {
        self.rows.iter().any(|row| row.found.total > 0)
    }

    fn totals(&self) -> BTreeMap<&'static str, u64> {
        let mut totals = BTreeMap::new();
        for row in &self.rows {
            for (name, count) in &row.found.counts {
                *totals.entry(*name).or_default() += count;
            }
        }
        totals
    }

    fn resumed(&self) -> Vec<Duration> {
        let mut all: Vec<_> = self
            .rows
            .iter()
            .filter_map(|row| row.measured.resumed)
            .collect();
        all.sort();
        all
    }

    /// The table.
    pub(crate) fn summary(&self) -> String {
        let violated = self.rows.iter().filter(|row| row.found.total > 0).count();
        let mut text = format!(
            "\n{} on {}: {} runs, {violated} with violations\n",
            self.scenario,
            self.backend,
            self.rows.len()
        );
        for (name, count) in self.totals() {
            text += &format!("  {name:<20} {count:>12}\n");
        }
        let resumed = self.resumed();
        if let [first, .., last] | [first @ last] = resumed.as_slice() {
            let (shortest, longest) = self.election;
            let within = resumed.iter().filter(|took| **took <= longest * 2).count();
            text += &format!(
                "  writes resumed after: min {} ms, p50 {} ms, p99 {} ms, max {} ms\n  \
                 election timeout {} to {} ms: {within} of {} within two of the longest\n",
                first.as_millis(),
                quantile(&resumed, 0.5).as_millis(),
                quantile(&resumed, 0.99).as_millis(),
                last.as_millis(),
                shortest.as_millis(),
                longest.as_millis(),
                resumed.len(),
            );
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        let resumed = self.resumed();
        let (shortest, longest) = self.election;
        json!({
            "scenario": self.scenario,
            "backend": self.backend,
            "runs": self.rows.len(),
            "violated": self.violated(),
            "totals": self.totals(),
            "election_timeout_ms": [milliseconds(shortest), milliseconds(longest)],
            "writes_resumed_ms": {
                "p50": (!resumed.is_empty()).then(|| milliseconds(quantile(&resumed, 0.5))),
                "p99": (!resumed.is_empty()).then(|| milliseconds(quantile(&resumed, 0.99))),
                "max": resumed.last().copied().map(milliseconds),
            },
            "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
        })
    }
}

/// Of sorted values; at least one.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and below the length"
    )]
    let index = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[index]
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_values() {
        let values: Vec<_> = (1..=101).map(Duration::from_millis).collect();
        assert_eq!(quantile(&values, 0.5), Duration::from_millis(51));
        assert_eq!(quantile(&values, 0.99), Duration::from_millis(100));
        assert_eq!(quantile(&values[..1], 0.99), Duration::from_millis(1));
    }
}
