//! `kvatlas`: the binary. Subcommands, configuration and wiring; nothing else.

mod cli;
mod client;
mod config;
mod config_command;
mod demo;
mod doctor;
mod endpoints;
mod forget;
mod roles;
mod score;
mod standalone;
mod store;

mod table;
mod wiring;

use std::process::ExitCode;

use crate::cli::{Cli, Command};

/// The system's allocator keeps what threads freed for each other: under churn
/// the process grew although nothing in it did.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::read();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if matches!(cli.command, Command::Standalone(_) | Command::Scorer(_)) {
        // Scores are answered on threads of their own.
        runtime.on_thread_start(scorer_server::give_way);
    }
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Standalone(args) => standalone::run(args).await,
            Command::Ingestor(args) => roles::ingestor::run(args).await,
            Command::Scorer(args) => roles::scorer::run(args).await,
            Command::Epp(args) => roles::epp::run(args).await,
            Command::Store(args) => store::run(args).await,
            Command::Demo(args) => demo::run(&args).await.map(|()| ExitCode::SUCCESS),
            Command::Score(args) => score::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Endpoints(args) => endpoints::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Forget(args) => forget::run(args).await,
            Command::Doctor(args) => doctor::run(args).await,
            Command::Config { action } => config_command::run(&action).map(|()| ExitCode::SUCCESS),
        }
    });
    result.unwrap_or_else(|error| failed(&error))
}

#[expect(clippy::print_stderr, reason = "the last word of a failed command")]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("kvatlas: {error:#}");
    ExitCode::from(2)
}
