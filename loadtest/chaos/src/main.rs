//! Faults injected into real processes, and an oracle that compares.
//!
//! Simulated engines with real caches publish to real `kvatlas` processes. Faults
//! come by a seeded schedule; meanwhile every scorer is asked all the time and its
//! answers are held against what must be true whatever happens. In the end
//! everything comes to rest, and every scorer must say exactly what the engines
//! hold. `docs/failure-suite.md` says what is checked and how.

mod checker;
mod client;
mod cluster;
mod compare;
mod config;
mod findings;
mod fleet;
mod links;
mod lives;
mod load;
mod marks;
mod member;
mod peers;
mod proxy;
mod report;
mod scenario;
mod series;
mod settings;
mod tmpfs;
mod world;
mod writer;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::scenario::Scenario;
use crate::series::Series;
use crate::settings::{Backend, Settings};

/// What is run.
#[derive(Debug, Parser)]
#[command(about = "Injects faults into real kvatlas processes and compares with an oracle.")]
struct Args {
    scenario: Scenario,
    /// The first run's seed; run n has this plus n. The same seed gives the same
    /// schedule.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// What keeps the index.
    #[arg(long, default_value = "raft")]
    backend: Backend,
    /// The kvatlas binary; default: the one beside this program.
    #[arg(long)]
    kvatlas: Option<PathBuf>,
    #[arg(long, default_value = "redis-server")]
    redis_server: PathBuf,
    /// The library that shows processes a false time, for clock-jump.
    #[arg(
        long,
        default_value = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
    )]
    faketime: PathBuf,
    /// The shortest election timeout; the default is kvatlas's own.
    #[arg(long, default_value_t = 800)]
    election_timeout_min_ms: u64,
    /// The longest election timeout.
    #[arg(long, default_value_t = 1500)]
    election_timeout_max_ms: u64,
    /// The size at which nodes replace their log by a snapshot; small, so that
    /// they do it all the time.
    #[arg(long, default_value_t = 1024)]
    log_kib: u64,
    /// Between two steps of one engine, on average.
    #[arg(long, default_value_t = 8)]
    engine_pause_ms: u64,
    /// How long the system may take to come to rest.
    #[arg(long, default_value_t = 60)]
    settle_seconds: u64,
    /// Runs with the same processes, where the scenario allows it.
    #[arg(long, default_value_t = 25)]
    share: u64,
    /// Before the comparison, one engine loses its blocks without a word: every run
    /// must be violated. Shows that the suite notices.
    #[arg(long)]
    forget_unheard: bool,
    /// Go on after a violation.
    #[arg(long)]
    keep_going: bool,
    /// Print JSON instead of lines and a table.
    #[arg(long)]
    json: bool,
    /// Say every step.
    #[arg(long, short)]
    verbose: bool,
}

/// The exit code of a scenario that this machine cannot run.
const SKIPPED: u8 = 77;

#[tokio::main]
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report is this program's output"
)]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if !args.scenario.fits(args.backend) {
        bail!(
            "{} makes no sense on {}",
            args.scenario.name(),
            args.backend.name()
        );
    }
    let series = Series {
        scenario: args.scenario,
        settings: settings(&args)?,
        seed: args.seed,
        runs: args.runs,
        share: args.share,
        keep_going: args.keep_going,
        quiet: args.json,
    };
    if let Some(missing) = series.missing() {
        eprintln!("SKIPPED {}: {missing}", args.scenario.name());
        return Ok(ExitCode::from(SKIPPED));
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let report = tokio::select! {
        report = series.run() => report?,
        // Processes are killed when dropped; this program must not end without.
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    };
    if args.json {
        println!("{:#}", report.json());
    } else {
        println!("{}", report.summary());
    }
    Ok(if report.violated() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn settings(args: &Args) -> Result<Settings> {
    let kvatlas = match &args.kvatlas {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("kvatlas"),
    };
    // Processes are started in folders of their own.
    let kvatlas = kvatlas.canonicalize().with_context(|| {
        let path = kvatlas.display();
        format!("no kvatlas at {path}: build it beside this program, or give --kvatlas")
    })?;
    Ok(Settings {
        kvatlas,
        redis_server: args.redis_server.clone(),
        faketime: args.faketime.clone(),
        backend: args.backend,
        shape: args.scenario.shape(),
        election_timeouts: (
            Duration::from_millis(args.election_timeout_min_ms),
            Duration::from_millis(args.election_timeout_max_ms),
        ),
        log_kib: args.log_kib,
        engine_pause: Duration::from_millis(args.engine_pause_ms),
        settle_limit: Duration::from_secs(args.settle_seconds),
        forget_unheard: args.forget_unheard,
        verbose: args.verbose,
    })
}
