//! The figures, for people and as JSON.

use std::fmt;

use serde::Serialize;

use crate::line::LineReport;
use crate::stages::StageReport;

#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) stages: Vec<StageReport>,
    pub(crate) line: Vec<LineReport>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for report in &self.stages {
            writeln!(
                f,
                "\n{}: {} block events a message, {:.0} bytes each",
                report.messages, report.block_events_per_message, report.bytes_per_block_event
            )?;
            for cost in &report.costs {
                writeln!(
                    f,
                    "  {:<34} {:>8.1} ns {:>8.3} allocations",
                    cost.stage, cost.ns_per_block_event, cost.allocations_per_block_event
                )?;
            }
        }
        if self.line.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{:>10} {:>6} {:>16} {:>20} {:>20} {:>16}",
            "publishers",
            "cores",
            "block events/s",
            "line s per million",
            "engines s per mill.",
            "per core of it"
        )?;
        for line in &self.line {
            writeln!(
                f,
                "{:>10} {:>6} {:>16.0} {:>20.2} {:>20.2} {:>16}",
                line.publishers,
                line.cores,
                line.block_events_per_second,
                line.line_seconds_per_million,
                line.engines_seconds_per_million,
                line.block_events_per_core_second
                    .map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"))
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Cost;

    fn report() -> Report {
        let line = |rate| LineReport {
            publishers: 8,
            cores: 1,
            block_events: 2_000_000,
            block_events_per_second: 1_000_000.4,
            line_seconds_per_million: 0.466,
            engines_seconds_per_million: 0.25,
            block_events_per_core_second: rate,
        };
        Report {
            stages: vec![StageReport {
                messages: "prefill, maps".to_owned(),
                block_events_per_message: 128.0,
                bytes_per_block_event: 64.6,
                costs: vec![Cost {
                    stage: "frames",
                    ns_per_block_event: 2.04,
                    allocations_per_block_event: 0.0156,
                }],
            }],
            line: vec![line(Some(2_145_922.7)), line(None)],
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_figure() {
        let text = report().to_string();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let rows: Vec<_> = text
            .lines()
            .map(words)
            .filter(|row| !row.is_empty())
            .collect();
        assert_eq!(
            rows,
            [
                "prefill, maps: 128 block events a message, 65 bytes each",
                "frames 2.0 ns 0.016 allocations",
                "publishers cores block events/s line s per million engines s per mill. per core of it",
                "8 1 1000000 0.47 0.25 2145923",
                "8 1 1000000 0.47 0.25 -",
            ]
        );
    }

    #[test]
    fn json_has_what_the_table_has() {
        let json = serde_json::to_value(report()).unwrap();
        let stage = &json["stages"][0];
        assert_eq!(stage["messages"], "prefill, maps");
        assert_eq!(stage["costs"][0]["stage"], "frames");
        assert_eq!(stage["costs"][0]["ns_per_block_event"], 2.04);
        assert_eq!(json["line"][0]["block_events_per_core_second"], 2_145_922.7);
        assert!(json["line"][1]["block_events_per_core_second"].is_null());
    }
}
