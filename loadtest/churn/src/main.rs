//! A day's worth of engine churn against a running KVAtlas, checked against an oracle.
//!
//! Simulated engines with real caches (least recently used blocks are evicted,
//! engines restart) publish over ZeroMQ into a `kvatlas standalone` process that
//! this program starts. At every checkpoint all publishing pauses until the index
//! has caught up; then the number of memberships and the answers to random
//! prompts must equal what the simulated caches hold, and the process's memory is
//! read. The program fails if an answer differs or memory keeps growing.

mod oracle;
mod standalone;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Parser;
use loadtest_engines::{Engine, Population};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::oracle::Oracle;
use crate::standalone::Standalone;

/// What a run is made of.
#[derive(Debug, Parser)]
struct Args {
    /// The kvatlas binary.
    #[arg(long, default_value = "target/release/kvatlas")]
    kvatlas: PathBuf,
    /// Block events to publish.
    #[arg(long, default_value_t = 50_000_000)]
    events: u64,
    /// Simulated engines.
    #[arg(long, default_value_t = 64)]
    engines: usize,
    /// Blocks that each engine's cache holds.
    #[arg(long, default_value_t = 8_192)]
    capacity: usize,
    /// Block events between checkpoints.
    #[arg(long, default_value_t = 5_000_000)]
    checkpoint: u64,
    /// Prompts compared at each checkpoint.
    #[arg(long, default_value_t = 200)]
    samples: usize,
    /// One engine restart per this many messages, on average.
    #[arg(long, default_value_t = 20_000)]
    restart_every: u32,
    /// The seed; the same seed gives the same run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How much more memory a later checkpoint may use than the warm-up did.
const GROWTH_LIMIT: f64 = 1.15;

/// The share of the events in which caches and histories fill up.
const WARM_UP: f64 = 0.3;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the report is this program's output")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let population = Population {
        customers: 400,
        users: 20,
        context_blocks: 96,
        tail_blocks: 64,
    };
    let mut random = SmallRng::seed_from_u64(args.seed);
    let standalone = Standalone::start(&args.kvatlas).await?;
    let mut oracle = Oracle::connect(&standalone.grpc).await?;
    let mut engines = Vec::new();
    for number in 0..args.engines {
        engines
            .push(Engine::connect(&standalone.events, number, oracle::MODEL, args.capacity).await?);
    }
    println!("     events  messages  restarts  memberships  events/s  samples   index     RSS");
    let (mut sent, mut messages, mut restarts) = (0_u64, 0_u64, 0_u64);
    let mut warm_rss = 0;
    while sent < args.events {
        let started = Instant::now();
        let before = sent;
        while sent < args.events.min(before + args.checkpoint) {
            let engine = &mut engines[random.random_range(0..args.engines)];
            if engine.sequence > 0 && random.random_ratio(1, args.restart_every) {
                engine.restart();
                restarts += 1;
            }
            sent += engine.step(&population, &mut random).await?;
            messages += 1;
        }
        let (held, index_bytes) = oracle.settle(&engines).await?;
        let rate = (sent - before) as f64 / started.elapsed().as_secs_f64();
        oracle
            .compare(&engines, &population, args.samples, &mut random)
            .await?;
        let rss = standalone.resident_bytes()?;
        println!(
            "{sent:>11} {messages:>9} {restarts:>9} {held:>12} {rate:>9.0} {:>8} {:>4} MB {:>4} MB",
            args.samples,
            index_bytes >> 20,
            rss >> 20
        );
        if (sent as f64) < args.events as f64 * WARM_UP || warm_rss == 0 {
            warm_rss = rss.max(warm_rss);
        } else if rss as f64 > warm_rss as f64 * GROWTH_LIMIT {
            bail!("memory grew from {warm_rss} to {rss} bytes: not flat");
        }
    }
    println!("equal to the oracle at every checkpoint; memory flat");
    Ok(())
}
