//! Runs every structure in turns, each in a process of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::args::Args;
use crate::figures::Figures;
use crate::machine::{self, Note};
use crate::report;
use crate::subject::Structure;
use crate::workload::{Evictions, Scenario, generate};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Note,
    pub(crate) lanes: usize,
    pub(crate) write_rate: f64,
    pub(crate) scenarios: Vec<Outcome>,
    /// `/proc/loadavg` after the last run.
    pub(crate) load_after: String,
}

/// One scenario, all structures, all repeats in the order they were run.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: Scenario,
    pub(crate) runs: BTreeMap<Structure, Vec<Figures>>,
    /// Structures whose process failed, and how it ended.
    pub(crate) failed: BTreeMap<Structure, String>,
}

/// Measures, reports, and fails if our answers are not exact.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let args = args.sized();
    let mut results = Results {
        machine: Note::take(),
        lanes: args.lanes,
        write_rate: args.write_rate,
        scenarios: Vec::new(),
        load_after: String::new(),
    };
    ensure!(
        results.machine.profile == "release" || args.quick,
        "built without --release: only --quick makes sense"
    );
    for scenario in args.scenarios() {
        results.scenarios.push(outcome(scenario, &args)?);
        results.load_after = machine::load();
        if let Some(path) = &args.json {
            let json = serde_json::to_vec_pretty(&results).context("encode the results")?;
            std::fs::write(path, json).with_context(|| format!("write {}", path.display()))?;
        }
    }
    report::print(&results);
    let wrong = results
        .scenarios
        .iter()
        .filter(|outcome| outcome.is_wrong());
    Ok(match wrong.count() {
        0 => ExitCode::SUCCESS,
        scenarios => {
            eprintln!("kvatlas failed or answered wrongly in {scenarios} scenarios");
            ExitCode::FAILURE
        }
    })
}

fn outcome(scenario: Scenario, args: &Args) -> Result<Outcome> {
    let begin = Instant::now();
    let trace = generate(&scenario);
    let bytes = postcard::to_allocvec(&trace).context("encode the trace")?;
    drop(trace);
    let file = tempfile::NamedTempFile::new().context("make a file for the trace")?;
    std::fs::write(file.path(), bytes).context("write the trace")?;
    eprintln!("{}: trace in {:.1?}", scenario.name(), begin.elapsed());
    let mut outcome = Outcome {
        scenario,
        runs: BTreeMap::new(),
        failed: BTreeMap::new(),
    };
    for repeat in 0..args.repeats {
        let mut turn = args.structures.clone();
        // Nobody is always first.
        turn.rotate_left(repeat % args.structures.len());
        for structure in turn {
            let begin = Instant::now();
            match child(structure, file.path(), args) {
                Ok(figures) => outcome.runs.entry(structure).or_default().push(figures),
                Err(error) => {
                    eprintln!("  {structure:?} failed: {error:#}");
                    outcome.failed.insert(structure, format!("{error:#}"));
                }
            }
            let took = begin.elapsed();
            eprintln!("  {}/{} {structure:?} {took:.1?}", repeat + 1, args.repeats);
        }
    }
    Ok(outcome)
}

fn child(structure: Structure, trace: &Path, args: &Args) -> Result<Figures> {
    let program = std::env::current_exe().context("find this program")?;
    let name = serde_json::to_value(structure).context("name the structure")?;
    let output = Command::new(program)
        .arg("--child")
        .arg(name.as_str().context("a structure's name is a string")?)
        .arg("--trace")
        .arg(trace)
        .args(["--lanes", &args.lanes.to_string()])
        .args(["--lookups", &args.lookups.to_string()])
        .args(["--longest", &args.longest.to_string()])
        .args(["--beside", &args.beside.to_string()])
        .args(["--write-rate", &args.write_rate.to_string()])
        .args(["--max-gib", &args.max_gib.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .context("start the process")?;
    let reason = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{}, {}",
        reason.trim(),
        output.status
    );
    serde_json::from_slice(&output.stdout).context("read its figures")
}

impl Outcome {
    /// Whether ours failed, or gave an answer that was not exact.
    fn is_wrong(&self) -> bool {
        let ours = self.runs.get(&Structure::Kvatlas).into_iter().flatten();
        let mut checked = ours.flat_map(|figures| {
            [
                figures.loaded.exactness,
                figures.churned.exactness,
                figures.ended,
            ]
        });
        self.failed.contains_key(&Structure::Kvatlas)
            || checked.any(|exactness| !exactness.is_exact())
    }

    /// Whether engines of this scenario leave holes.
    pub(crate) fn has_holes(&self) -> bool {
        self.scenario.evictions != Evictions::Lru
    }
}
