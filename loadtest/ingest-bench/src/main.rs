//! What each step of the ingest costs, and what the whole line takes in:
//! `docs/ingestor.md` has the tables.

mod allocations;
mod args;
mod floor;
mod line;
mod messages;
mod meter;
mod report;
mod serve;
mod stages;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use args::Args;
use clap::Parser;
use line::Plan;
use loadtest_engines::Form;
use messages::{Scale, Step};
use report::Report;

#[expect(clippy::print_stdout, reason = "the figures are the output")]
fn main() -> Result<()> {
    let args = Args::parse();
    if args.serve {
        let runtime = tokio::runtime::Runtime::new()?;
        return runtime.block_on(serve::serve());
    }
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let plans = args.plans(available)?;
    let json = created(args.json.as_deref())?;
    let report = measure(args.rounds, &plans)?;
    print!("{report}");
    if let Some((path, mut file)) = json {
        let text = serde_json::to_string_pretty(&report)?;
        let written = file.write_all(text.as_bytes());
        written.with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// The file of `--json`, before a run of minutes.
fn created(json: Option<&Path>) -> Result<Option<(&Path, File)>> {
    let Some(path) = json else {
        return Ok(None);
    };
    let file = File::create(path).with_context(|| format!("--json {}", path.display()))?;
    Ok(Some((path, file)))
}

fn measure(rounds: usize, plans: &[Plan]) -> Result<Report> {
    let mut report = Report::default();
    let kinds = [Step::Prefill, Step::Decode]
        .into_iter()
        .flat_map(|step| [Form::Arrays, Form::Maps].map(|form| (step, form)));
    for (step, form) in kinds.filter(|_| rounds > 0) {
        let stages = stages::measure(step, form, rounds, Scale::FULL)?;
        report.stages.push(stages);
    }
    for plan in plans {
        report.line.push(line::measure(*plan)?);
    }
    Ok(report)
}
