//! `loadtest-fleet wall`: both clocks, and whether they agree.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use loadtest_fleet::{Stage, Strategy, WallOptions, WallPrograms, WallReport, wall, wall_table};
use tokio::signal::unix::{SignalKind, signal};

/// What is compared, and with which programs.
#[derive(Debug, clap::Args)]
pub(crate) struct Wall {
    /// precise, estimated, load-only or random; may be given several times. By
    /// default all four.
    #[arg(long, value_enum)]
    strategy: Vec<Strategy>,
    /// Decides arrivals and ties.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// How many engines.
    #[arg(long, default_value_t = 8)]
    engines: usize,
    /// Customers, each with five users.
    #[arg(long, default_value_t = 150)]
    customers: u32,
    /// Prompts, replies and caches have so many times fewer tokens than the
    /// documented ones, each of which takes so many times longer.
    #[arg(long, default_value_t = 10)]
    shrink: u32,
    /// Engines are so many times faster than that.
    #[arg(long, default_value_t = 2.5)]
    faster: f64,
    /// Tokens per block.
    #[arg(long, default_value_t = 16)]
    block_size: u32,
    /// The stage that fills the caches, as RATExSECONDS.
    #[arg(long)]
    warm_up: Option<Stage>,
    /// A measured stage as RATExSECONDS; may be given several times.
    #[arg(long)]
    stage: Vec<Stage>,
    /// Milliseconds that a score may take before a request goes by load.
    #[arg(long, default_value_t = 200)]
    score_ms: u64,
    /// Runs in virtual time, whose mean hit rate is compared with.
    #[arg(long, default_value_t = 16)]
    repeats: u64,
    /// Percentage points by which hit rates may differ.
    #[arg(long, default_value_t = 2.0, value_parser = points)]
    points: f64,
    /// The kvatlas binary; default: the one beside this program.
    #[arg(long)]
    kvatlas: Option<PathBuf>,
    /// The Envoy binary; default: as `./test.sh --prepare` installs it, or on the path.
    #[arg(long, env = "KVATLAS_ENVOY")]
    envoy: Option<PathBuf>,
    /// A folder for the processes' logs; default: they are not kept.
    #[arg(long)]
    logs: Option<PathBuf>,
    /// Where the report goes as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Wall {
    /// Runs, prints, judges: fails where a hit rate is too far off.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let json = crate::created("--json", self.json.as_deref())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let report = runtime.block_on(self.until_interrupted())?;
        write!(std::io::stdout().lock(), "{}", wall_table(&report))?;
        if let Some(file) = json {
            crate::write_json(&report, file).context("--json")?;
        }
        let runs = report.runs.iter();
        let apart: Vec<_> = runs.filter(|run| !run.agrees(self.points)).collect();
        for run in &apart {
            said(&format!(
                "{}: hit rates are {:+.2} points apart; at most {} are accepted",
                run.strategy.name(),
                run.difference,
                self.points
            ));
        }
        Ok(if apart.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// Processes are killed when what owns them is dropped, so signals must not end
    /// this one at once.
    async fn until_interrupted(&self) -> Result<WallReport> {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            report = self.all() => report,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    }

    async fn all(&self) -> Result<WallReport> {
        let (kvatlas, envoy) = (self.kvatlas.as_deref(), self.envoy.as_deref());
        let programs = WallPrograms::find(kvatlas, envoy, self.logs.clone())?;
        let options = self.options();
        let mut strategies = self.strategy.clone();
        if strategies.is_empty() {
            strategies.extend(Strategy::OURS);
        }
        let mut runs = Vec::new();
        for strategy in strategies {
            runs.push(Box::pin(wall(&options, strategy, &programs, &said)).await?);
        }
        Ok(WallReport::new(options.fleet()?, runs))
    }

    fn options(&self) -> WallOptions {
        let mut options = WallOptions {
            seed: self.seed,
            engines: self.engines,
            customers: self.customers,
            shrink: self.shrink,
            faster: self.faster,
            block_size: self.block_size,
            score: Duration::from_millis(self.score_ms),
            repeats: self.repeats,
            ..WallOptions::default()
        };
        options.warm_up = self.warm_up.unwrap_or(options.warm_up);
        if !self.stage.is_empty() {
            options.stages.clone_from(&self.stage);
        }
        options
    }
}

/// Hit rates are never further apart than 100; NaN would accept none.
fn points(text: &str) -> Result<f64, String> {
    let points = text.parse().ok();
    let points = points.filter(|points| (0.0..=100.0).contains(points));
    points.ok_or_else(|| "give percentage points from 0 to 100".to_owned())
}

fn said(line: &str) {
    // Progress is worth nothing without somebody who reads it.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
