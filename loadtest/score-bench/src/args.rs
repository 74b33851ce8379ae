//! What a run is made of.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Measures Score over the wire.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
    /// The kvatlas binary.
    #[arg(long, default_value = "target/release/kvatlas")]
    pub(crate) kvatlas: PathBuf,
    /// The other indexer (loadtest/peers/standalone); none: only ours.
    #[arg(long)]
    pub(crate) dynamo: Option<PathBuf>,
    /// Threads of the other indexer's index.
    #[arg(long, default_value_t = 4)]
    pub(crate) dynamo_threads: usize,
    /// What is measured.
    #[arg(long, value_delimiter = ',', value_enum,
          default_values_t = [Part::Keys, Part::Echo, Part::Rate, Part::Load])]
    pub(crate) parts: Vec<Part>,
    /// Engines that publish.
    #[arg(long, default_value_t = 64)]
    pub(crate) engines: usize,
    /// Memberships of the index, about.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) memberships: usize,
    /// Tokens of a prompt: whole blocks of 16.
    #[arg(long, default_value_t = 7_200)]
    pub(crate) tokens: usize,
    /// Timed calls of each kind, in the comparison with the echo.
    #[arg(long, default_value_t = 6_000)]
    pub(crate) calls: usize,
    /// Seconds of every turn, in rate and load.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,
    /// Turns of everything that is measured in turns.
    #[arg(long, default_value_t = 4)]
    pub(crate) turns: usize,
    /// Callers at a time, where as much is asked as is answered.
    #[arg(long, default_value_t = 8)]
    pub(crate) callers: usize,
    /// Block events per second, in load.
    #[arg(long, default_value_t = 500_000.0)]
    pub(crate) rate: f64,
    /// A file for the figures as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Fail if one of the aims is not reached.
    #[arg(long)]
    pub(crate) assert: bool,
}

/// What this binary is started as by itself.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Role {
    /// Decodes Score requests and answers without work.
    #[command(hide = true)]
    Echo {
        /// The gRPC port.
        #[arg(long)]
        port: u16,
        /// Endpoints in its answers.
        #[arg(long)]
        endpoints: usize,
    },
}

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Block keys, beside the digest alone.
    Keys,
    /// One call at a time, in turns with an echo.
    Echo,
    /// Requests per second of processor time.
    Rate,
    /// One call at a time, with events applied meanwhile and without.
    Load,
}

impl Args {
    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}
