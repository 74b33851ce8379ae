//! Many runs of one scenario.

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::findings::Findings;
use crate::report::{Measured, Report, Row};
use crate::scenario::{Scenario, run_limit};
use crate::settings::Settings;
use crate::tmpfs::Tmpfs;
use crate::world::World;

/// What to run, and how often.
pub(crate) struct Series {
    pub(crate) scenario: Scenario,
    pub(crate) settings: Settings,
    pub(crate) seed: u64,
    pub(crate) runs: u64,
    /// Runs with the same processes.
    pub(crate) share: u64,
    pub(crate) keep_going: bool,
    /// No line per run.
    pub(crate) quiet: bool,
}

impl Series {
    /// What the scenario needs and this machine does not have.
    pub(crate) fn missing(&self) -> Option<String> {
        let shape = self.settings.shape;
        if shape.false_clocks && !self.settings.faketime.exists() {
            let path = self.settings.faketime.display();
            return Some(format!("no libfaketime at {path}"));
        }
        if shape.small_disks {
            let tried = tempfile::tempdir().map_err(anyhow::Error::from);
            let tried = tried.and_then(|dir| Tmpfs::mount(&dir.path().join("disk"), 1));
            return tried.err().map(|error| format!("{error:#}"));
        }
        None
    }

    /// Until all runs are done, or one is violated.
    pub(crate) async fn run(&self) -> Result<Report> {
        let mut report = Report {
            scenario: self.scenario.name(),
            backend: self.settings.backend.name(),
            election: self.settings.election_timeouts,
            rows: Vec::new(),
        };
        let share = if self.scenario.may_share() {
            self.share.max(1)
        } else {
            1
        };
        let mut done = 0;
        while done < self.runs {
            let count = share.min(self.runs - done);
            let dir = tempfile::tempdir().context("a folder for the processes")?;
            let rows = self.share(&dir, self.seed + done, count).await?;
            done += rows.len() as u64;
            let violated = rows.iter().any(|row| row.found.total > 0);
            report.rows.extend(rows);
            if violated {
                let kept = dir.keep();
                self.say(&format!("  logs and data are kept in {}", kept.display()));
                if !self.keep_going {
                    break;
                }
            }
        }
        Ok(report)
    }

    /// Some runs with the same processes; a violated one is the last.
    async fn share(&self, dir: &TempDir, seed: u64, count: u64) -> Result<Vec<Row>> {
        let findings = Findings::new(self.settings.verbose);
        let mut rows = Vec::new();
        let started = World::start(&self.settings, dir.path(), seed, &findings).await;
        let mut world = match started {
            Ok(world) => world,
            Err(error) => {
                findings.violation("start", format!("{error:#}"));
                rows.push(self.row(seed, Measured::default(), &findings));
                self.say(&rows[0].lines());
                return Ok(rows);
            }
        };
        for seed in seed..seed + count {
            let measured = self.one(&mut world, seed, &findings).await;
            let row = self.row(seed, measured, &findings);
            self.say(&row.lines());
            let violated = row.found.total > 0;
            rows.push(row);
            if violated {
                break;
            }
        }
        Ok(rows)
    }

    /// One run; a run that fails or does not end is violated.
    async fn one(&self, world: &mut World, seed: u64, findings: &Findings) -> Measured {
        let limit = run_limit(&self.settings);
        match timeout(limit, Box::pin(self.scenario.run(world, seed))).await {
            Ok(Ok(measured)) => measured,
            Ok(Err(error)) => {
                findings.violation("run", format!("{error:#}"));
                Measured::default()
            }
            Err(_) => {
                let step = findings.present_step();
                findings.violation("hang", format!("step `{step}` has not ended for {limit:?}"));
                Measured::default()
            }
        }
    }

    #[expect(clippy::print_stdout, reason = "the report is this program's output")]
    fn say(&self, line: &str) {
        if !self.quiet {
            println!("{line}");
        }
    }

    fn row(&self, seed: u64, measured: Measured, findings: &Findings) -> Row {
        Row {
            scenario: self.scenario.name(),
            seed,
            measured,
            found: findings.take(),
        }
    }
}
