//! The long suite: real Envoy, real pickers, engines that are simulated.
//!
//! `docs/gateway-suite.md` says what each command proves.

mod conversations;
mod cost;
mod failures;
mod hostile;
mod verify;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use loadtest_gateway::{Programs, Report};
use tokio::signal::unix::{SignalKind, signal};

/// What is run, and with which programs.
#[derive(Debug, Parser)]
#[command(about = "Runs endpoint pickers behind a real Envoy, and judges what comes of it.")]
struct Args {
    #[command(subcommand)]
    command: Command,
    /// The kvatlas binary; default: the one beside this program.
    #[arg(long, global = true)]
    kvatlas: Option<PathBuf>,
    /// The Envoy binary; default: as `./test.sh --prepare` installs it, or on the path.
    #[arg(long, global = true, env = "KVATLAS_ENVOY")]
    envoy: Option<PathBuf>,
    /// Print only JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The two requests that users verify a picker with, in both modes.
    Verify(verify::Args),
    /// Predicted against real cached tokens, over conversations.
    Conversations(conversations::Args),
    /// Hostile clients and dying engines, beside streams that must go on.
    Hostile(hostile::Args),
    /// Whatever can be away, under steady load.
    Failures(failures::Args),
    /// Requests per second and latency, with the picker and without.
    Cost(cost::Args),
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let programs = Programs::find(args.kvatlas.as_deref(), args.envoy.as_deref())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let reports = tokio::select! {
        reports = run(&args.command, &programs) => reports?,
        // Processes are killed when dropped; this program must not end without.
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    };
    print(&reports, args.json);
    Ok(if reports.iter().all(Report::is_clean) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn run(command: &Command, programs: &Programs) -> Result<Vec<Report>> {
    match command {
        Command::Verify(args) => Box::pin(verify::run(args, programs)).await,
        Command::Conversations(args) => Box::pin(conversations::run(args, programs)).await,
        Command::Hostile(args) => Box::pin(hostile::run(args, programs)).await,
        Command::Failures(args) => Box::pin(failures::run(args, programs)).await,
        Command::Cost(args) => Box::pin(cost::run(args, programs)).await,
    }
}

#[expect(clippy::print_stdout, reason = "the report is this program's output")]
fn print(reports: &[Report], only_json: bool) {
    for report in reports {
        if !only_json {
            println!("{report}");
        }
    }
    let all: Vec<_> = reports.iter().map(Report::json).collect();
    println!("{}", serde_json::Value::Array(all));
}
