//! What each step of the ingest costs, and what the whole line takes in:
//! `docs/ingestor.md` has the tables.

mod allocations;
mod floor;
mod line;
mod messages;
mod meter;
mod report;
mod serve;
mod stages;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use line::Plan;
use loadtest_engines::Form;
use messages::Step;
use report::Report;

#[derive(Debug, Parser)]
#[command(about)]
struct Args {
    /// Rounds of each kind of message; the fastest counts. 0: no stages.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Publishers of the whole line; once per number, 0: no line.
    #[arg(long, default_values_t = [1, 8, 64, 1000])]
    publishers: Vec<usize>,
    /// Block events that the whole line takes in, at least.
    #[arg(long, default_value_t = 4_000_000)]
    block_events: u64,
    /// Cores that the line's process may use; once per number.
    #[arg(long, default_values_t = [1, 2])]
    cores: Vec<usize>,
    /// Also write the figures here.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Be the line's process.
    #[arg(long, hide = true)]
    serve: bool,
}

#[expect(clippy::print_stdout, reason = "the figures are the output")]
fn main() -> Result<()> {
    let args = Args::parse();
    if args.serve {
        let runtime = tokio::runtime::Runtime::new()?;
        return runtime.block_on(serve::serve());
    }
    let report = measure(&args)?;
    print!("{report}");
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn measure(args: &Args) -> Result<Report> {
    let mut report = Report::default();
    for step in [Step::Prefill, Step::Decode] {
        for form in [Form::Arrays, Form::Maps] {
            if args.rounds > 0 {
                report
                    .stages
                    .push(stages::measure(step, form, args.rounds)?);
            }
        }
    }
    for publishers in args.publishers.iter().copied().filter(|count| *count > 0) {
        for cores in args.cores.iter().copied().filter(|count| *count > 0) {
            report.line.push(line::measure(Plan {
                step: Step::Prefill,
                form: Form::Maps,
                publishers,
                block_events: args.block_events,
                cores,
            })?);
        }
    }
    Ok(report)
}
