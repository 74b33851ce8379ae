//! The documented fleet benchmark: `loadtest-fleet ladder` in virtual time,
//! `loadtest-fleet wall` by both clocks.

mod args;
mod wall_command;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use loadtest_fleet::{
    FleetOptions, Report, SeedsReport, Strategy, by_seed, by_stage, costs, parts, plot, run,
    summary,
};

use args::{Args, Command, Ladder};

fn main() -> Result<ExitCode> {
    match Args::parse().command {
        Command::Ladder(ladder) => climb(&ladder).map(|()| ExitCode::SUCCESS),
        Command::Wall(wall) => wall.run(),
    }
}

fn climb(ladder: &Ladder) -> Result<()> {
    let json = created("--json", ladder.json.as_deref())?;
    // Drawn over later.
    created("--plot", ladder.plot.as_deref())?;
    let options = ladder.seed.iter().map(|seed| ladder.options(*seed));
    let options = options.collect::<Result<Vec<_>>>()?;
    let mut reports = Vec::new();
    for options in &options {
        let report = one_seed(options, ladder)?;
        print(&report, ladder)?;
        reports.push(report);
    }
    if let Some((file, first)) = ladder.plot.as_ref().zip(reports.first()) {
        plot(first, file)?;
    }
    if reports.len() > 1 {
        let report = SeedsReport::of(reports);
        write!(std::io::stdout().lock(), "{}", by_seed(&report))?;
        return write(&report, json);
    }
    write(&reports.first(), json)
}

fn one_seed(options: &FleetOptions, ladder: &Ladder) -> Result<Report> {
    let strategies = ladder.strategies();
    let bars = bars(&strategies);
    let told = |place: usize, done: usize, all: usize, now: Duration| {
        let bar: &ProgressBar = &bars[place];
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        bar.set_message(format!("{} s of virtual time", now.as_secs()));
        if done == all {
            bar.finish();
        }
    };
    Ok(run(options, &strategies, ladder.threads, &told)?)
}

/// One per strategy, on standard error, if that is a terminal.
fn bars(strategies: &[Strategy]) -> Vec<ProgressBar> {
    let all = MultiProgress::new();
    let style = ProgressStyle::with_template("{prefix:<20} {bar:30} {pos}/{len} stages, {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = |strategy: &Strategy| {
        let bar = all.add(ProgressBar::new(1).with_style(style.clone()));
        bar.set_prefix(strategy.name());
        bar
    };
    strategies.iter().map(bar).collect()
}

fn print(report: &Report, ladder: &Ladder) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if ladder.stages {
        for of in &report.strategies {
            writeln!(out, "{}", by_stage(of))?;
        }
    }
    // Several seeds are summed up at the end.
    if ladder.seed.len() == 1 {
        write!(out, "{}", summary(report))?;
    }
    if ladder.parts {
        write!(out, "\n{}", parts(report))?;
    }
    if ladder.costs {
        write!(out, "\n{}", costs(report))?;
    }
    Ok(())
}

/// A flag's file, before a run that takes long.
fn created(flag: &str, file: Option<&Path>) -> Result<Option<File>> {
    let create = |file: &Path| {
        let named = || format!("{flag} {}", file.display());
        File::create(file).with_context(named)
    };
    file.map(create).transpose()
}

fn write(report: &impl serde::Serialize, json: Option<File>) -> Result<()> {
    let Some(file) = json else { return Ok(()) };
    write_json(report, file).context("--json")
}

fn write_json(report: &impl serde::Serialize, file: File) -> Result<()> {
    let mut out = BufWriter::new(file);
    serde_json::to_writer_pretty(&mut out, report)?;
    Ok(out.flush()?)
}
