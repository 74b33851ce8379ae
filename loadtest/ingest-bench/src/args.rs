//! What is to be measured, as the command line says it.

use std::path::PathBuf;

use clap::Parser;

use crate::line::Plan;
use crate::messages::Step;
use loadtest_engines::Form;

/// Most rounds: a fastest one of more says nothing new.
const ROUNDS: usize = 10_000;

/// Most publishers: each takes a connection at both ends.
const PUBLISHERS: usize = 10_000;

/// Most block events of one run of the line: minutes of one core.
const BLOCK_EVENTS: u64 = 10_000_000_000;

#[derive(Debug, Parser)]
#[command(about)]
pub(crate) struct Args {
    /// Rounds of each kind of message; the fastest counts. 0: no stages.
    #[arg(long, default_value_t = 20)]
    pub(crate) rounds: usize,
    /// Publishers of the whole line; once per number, 0: no line.
    #[arg(long, default_values_t = [1, 8, 64, 1000])]
    pub(crate) publishers: Vec<usize>,
    /// Block events that the whole line takes in, at least.
    #[arg(long, default_value_t = 4_000_000)]
    pub(crate) block_events: u64,
    /// Cores that the line's process may use; once per number.
    #[arg(long, default_values_t = [1, 2])]
    pub(crate) cores: Vec<usize>,
    /// Also write the figures here.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Be the line's process.
    #[arg(long, hide = true)]
    pub(crate) serve: bool,
}

/// Why nothing can be measured like that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error(
        "--rounds is 0 and --publishers names none: nothing would be measured; leave one of them \
         out"
    )]
    Nothing,
    #[error("--{flag} is {found}; expected {least} to {most}")]
    OutOfRange {
        flag: &'static str,
        found: u64,
        least: u64,
        most: u64,
    },
    #[error(
        "--cores is {found}, but this process may use {available}; give --cores 1 to {available}"
    )]
    Cores { found: usize, available: usize },
}

impl Args {
    /// The runs of the whole line, in order, if everything can be measured with so
    /// many cores.
    pub(crate) fn plans(&self, available: usize) -> Result<Vec<Plan>, ArgsError> {
        within("rounds", self.rounds as u64, 0, ROUNDS as u64)?;
        within("block-events", self.block_events, 1, BLOCK_EVENTS)?;
        for publishers in &self.publishers {
            within("publishers", *publishers as u64, 0, PUBLISHERS as u64)?;
        }
        let mut plans = Vec::new();
        for publishers in self.publishers.iter().copied().filter(|count| *count > 0) {
            for cores in self.cores.iter().copied() {
                if cores == 0 || cores > available {
                    let found = cores;
                    return Err(ArgsError::Cores { found, available });
                }
                plans.push(Plan {
                    step: Step::Prefill,
                    form: Form::Maps,
                    publishers,
                    block_events: self.block_events,
                    cores,
                });
            }
        }
        if self.rounds == 0 && plans.is_empty() {
            return Err(ArgsError::Nothing);
        }
        Ok(plans)
    }
}

fn within(flag: &'static str, found: u64, least: u64, most: u64) -> Result<(), ArgsError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(ArgsError::OutOfRange {
        flag,
        found,
        least,
        most,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans(line: &str, available: usize) -> Result<Vec<Plan>, ArgsError> {
        let words = std::iter::once("ingest-bench").chain(line.split_whitespace());
        Args::try_parse_from(words).unwrap().plans(available)
    }

    fn shape(line: &str) -> Vec<(usize, usize)> {
        let plans = plans(line, 2).unwrap();
        plans
            .iter()
            .map(|plan| (plan.publishers, plan.cores))
            .collect()
    }

    #[test]
    fn the_line_runs_once_for_each_number_of_publishers_and_cores() {
        let all = [1, 8, 64, 1000].map(|publishers| [(publishers, 1), (publishers, 2)]);
        assert_eq!(shape(""), all.concat());
        assert_eq!(shape("--publishers 3 --cores 2"), [(3, 2)]);
        assert_eq!(shape("--publishers 0"), []);
        let plans = plans("--publishers 3 --cores 1 --block-events 7", 1).unwrap();
        assert_eq!(plans[0].block_events, 7);
    }

    #[test]
    fn what_cannot_be_measured_is_refused_by_name() {
        let out_of_range = |flag, found, least, most| ArgsError::OutOfRange {
            flag,
            found,
            least,
            most,
        };
        for (line, expected) in [
            ("--rounds 0 --publishers 0", ArgsError::Nothing),
            ("--rounds 10001", out_of_range("rounds", 10_001, 0, 10_000)),
            (
                "--publishers 10001",
                out_of_range("publishers", 10_001, 0, 10_000),
            ),
            (
                "--block-events 0",
                out_of_range("block-events", 0, 1, BLOCK_EVENTS),
            ),
            (
                "--block-events 99999999999",
                out_of_range("block-events", 99_999_999_999, 1, BLOCK_EVENTS),
            ),
            (
                "--cores 0",
                ArgsError::Cores {
                    found: 0,
                    available: 2,
                },
            ),
            (
                "--cores 3",
                ArgsError::Cores {
                    found: 3,
                    available: 2,
                },
            ),
        ] {
            assert_eq!(plans(line, 2), Err(expected), "{line}");
        }
        // Of one core, two cannot be had.
        let error = plans("", 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--cores is 2, but this process may use 1; give --cores 1 to 1"
        );
    }

    #[test]
    fn cores_do_not_matter_without_a_line() {
        assert_eq!(plans("--publishers 0 --cores 64", 1), Ok(Vec::new()));
    }

    #[test]
    fn words_that_are_no_numbers_are_refused() {
        for line in [
            "--rounds many",
            "--cores -1",
            "--block-events 1.5",
            "--publisher 1",
        ] {
            let words = std::iter::once("ingest-bench").chain(line.split_whitespace());
            assert!(Args::try_parse_from(words).is_err(), "{line}");
        }
    }
}
