//! What a store costs and gives: rate, freshness, cold start, disk, processor time.
//!
//! Starts the real processes for each store (`kvatlas standalone`; three nodes of
//! `kvatlas store`, or a Redis server, with an ingestor and a scorer), publishes
//! over ZeroMQ what simulated engines would, and looks at what a scorer's callers
//! see. Nothing here knows anything of a store but its ports. Every part ends with
//! a check that the scorer holds exactly what the engines hold.

mod args;
mod cold_start;
mod counting_proxy;
mod deployment;
mod direct;
mod disk;
mod fleet;
mod freshness;
mod meter;
mod pool;
mod probe;
mod report;
mod run;
mod scorer;
mod statistics;
mod table;
mod throughput;
mod usage;

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::args::Args;
use crate::deployment::Kind;
use crate::report::{Report, StoreReport};

/// The model that all simulated engines serve.
const MODEL: &str = "bench";

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the report is this program's output")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let mut report = Report {
        machine: usage::machine(),
        engines: args.engines,
        stores: Vec::new(),
    };
    for kind in &args.stores {
        let mut store = StoreReport::new(*kind);
        if let Err(error) = Box::pin(run::all(*kind, &args, &mut store)).await {
            store.failed = Some(format!("{error:#}"));
        }
        compare(&report, &mut store);
        report.stores.push(store);
        // After each, so that an interrupted run is not lost.
        if let Some(file) = &args.json {
            let json = serde_json::to_vec_pretty(&report)?;
            std::fs::write(file, json).with_context(|| file.display().to_string())?;
        }
    }
    println!("{}", table::render(&report));
    if report.stores.iter().any(|store| store.failed.is_some()) {
        bail!("not everything could be measured");
    }
    Ok(())
}

/// Says how fast the store is beside the embedded one of this run.
fn compare(report: &Report, store: &mut StoreReport) {
    let embedded = report
        .stores
        .iter()
        .find(|store| store.store == Kind::Embedded);
    let embedded = embedded.and_then(|store| store.throughput.as_ref());
    if let (Some(embedded), Some(own)) = (embedded, &mut store.throughput) {
        own.of_embedded = Some(own.events_per_second / embedded.events_per_second);
    }
}
