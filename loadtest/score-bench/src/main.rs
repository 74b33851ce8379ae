//! What Score costs over the wire: beside an echo, beside another indexer, and
//! while events pour in.
//!
//! ```text
//!  publishers ──ZMQ──▶ kvatlas standalone ◀──gRPC, HTTP── clients, closed loop
//!       └──────ZMQ──▶ the other indexer  ◀──HTTP────────┘   │
//!                      echo               ◀──gRPC────────────┘
//! ```
//! Each server is a process of its own on loopback, filled through its own front
//! door with the same messages. What is compared is measured in turns, a moment
//! each, so that what else the machine does meets all of them. Every answer's
//! content is compared with what the publishers hold before anything is timed.

mod args;
mod asked;
mod echo;
mod fleet;
mod grpc;
mod http;
mod keys;
mod latency;
mod load;
mod quantiles;
mod rate;
mod report;
mod servers;
mod table;
mod usage;
mod verify;
mod world;

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::args::{Args, Part, Role};
use crate::report::Report;
use crate::world::World;

/// As `kvatlas` has it: no server gains by its allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The model that all simulated engines serve.
const MODEL: &str = "bench";

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the report is this program's output")]
async fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(Role::Echo { port, endpoints }) = args.role {
        return echo::serve(port, endpoints).await;
    }
    let mut report = Report::new(&args);
    if args.has(Part::Keys) {
        report.keys = tokio::task::spawn_blocking(keys::measure).await??;
    }
    if args.parts.iter().any(|part| *part != Part::Keys) {
        Box::pin(over_the_wire(&args, &mut report)).await?;
    }
    if let Some(file) = &args.json {
        let json = serde_json::to_vec_pretty(&report)?;
        std::fs::write(file, json).with_context(|| file.display().to_string())?;
    }
    println!("{}", table::render(&report));
    let missed = report.missed();
    if args.assert && !missed.is_empty() {
        bail!("not reached: {}", missed.join("; "));
    }
    Ok(())
}

async fn over_the_wire(args: &Args, report: &mut Report) -> Result<()> {
    let mut world = Box::pin(World::build(args)).await?;
    report.memberships = world.memberships;
    if args.has(Part::Echo) {
        report.latency = Some(latency::measure(args, &world).await.context("echo")?);
    }
    if args.has(Part::Rate) {
        report.rates = rate::measure(args, &world).await.context("rate")?;
    }
    if args.has(Part::Load) {
        let measured = Box::pin(load::measure(args, &mut world)).await;
        report.load = Some(measured.context("load")?);
    }
    Ok(())
}
