//! Our prefix index beside published ones: same events, same questions, one run.
//!
//! `docs/peers.md` says how each structure is used, what is measured, and how to
//! read the tables.

mod allocator;
mod args;
mod child;
mod figures;
mod machine;
mod measure;
mod parent;
mod report;
mod subject;
#[cfg(test)]
mod tests;
mod workload;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

fn main() -> Result<ExitCode> {
    let args = args::Args::parse();
    match &args.child {
        Some(structure) => child::run(*structure, &args).map(|()| ExitCode::SUCCESS),
        None => parent::run(&args),
    }
}
