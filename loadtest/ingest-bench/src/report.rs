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
                "{:>10} {:>6} {:>16.0} {:>20.2} {:>20.2} {:>16.0}",
                line.publishers,
                line.cores,
                line.block_events_per_second,
                line.line_seconds_per_million,
                line.engines_seconds_per_million,
                line.block_events_per_core_second
            )?;
        }
        Ok(())
    }
}
