//! The process that measures one structure once.

use std::io::Write;

use anyhow::{Context, Result};

use crate::args::Args;
use crate::figures::Figures;
use crate::measure::{alone, measure, together};
use crate::subject::{Chain, ConcurrentRadix, Ours, Positional, Radix, RadixActor, Structure};
use crate::workload::Trace;

/// Reads the trace, measures, and writes the figures to stdout.
pub(crate) fn run(structure: Structure, args: &Args) -> Result<()> {
    let path = args.trace.as_ref().context("--child needs --trace")?;
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let trace: Trace = postcard::from_bytes(&bytes).context("decode the trace")?;
    drop(bytes);
    let figures = figures(structure, &trace, args)?;
    serde_json::to_writer(std::io::stdout().lock(), &figures).context("write the figures")?;
    std::io::stdout().flush().context("write the figures")?;
    Ok(())
}

fn figures(structure: Structure, trace: &Trace, args: &Args) -> Result<Figures> {
    let how = (args.lanes, args.effort());
    match structure {
        Structure::Kvatlas => measure::<Ours>(trace, how, together),
        Structure::KvIndex => measure::<Chain>(trace, how, together),
        Structure::DynamoConcurrent => measure::<ConcurrentRadix>(trace, how, together),
        Structure::DynamoRadix => measure::<Radix>(trace, how, alone),
        Structure::DynamoActor => measure::<RadixActor>(trace, how, together),
        Structure::DynamoPositional => measure::<Positional>(trace, how, together),
    }
}
