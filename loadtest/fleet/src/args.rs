//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use loadtest_fleet::{FleetOptions, PolicyChange, PublishedScorer, Stage, Strategy};

use crate::wall_command::Wall;

/// The documented fleet benchmark in virtual time, with the real state, index and
/// picker.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs each strategy through the ladder of rates, and compares.
    Ladder(Ladder),
    /// Runs smaller stages in virtual time and by the wall clock, with processes and
    /// sockets, and compares the hit rates.
    Wall(Wall),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ladder {
    /// A strategy; may be given several times. By default our four.
    #[arg(long, value_enum)]
    strategy: Vec<Strategy>,
    /// Models of the published system's policies, too.
    #[arg(long)]
    theirs: bool,
    /// Decides arrivals, ways and ties; may be given several times, and is then
    /// summed up by seed.
    #[arg(long, default_values_t = [42])]
    pub(crate) seed: Vec<u64>,
    /// How many engines. Rates grow with them, customers too unless they are given.
    #[arg(long, default_value_t = 8)]
    engines: usize,
    /// Every question is new, so that only contexts are found again.
    #[arg(long)]
    new_questions: bool,
    /// Share of the requests, 0 to 1, that one customer sends.
    #[arg(long, default_value_t = 0.0)]
    hot_share: f64,
    /// Routers with books of their own; each request goes to any of them.
    #[arg(long, default_value_t = 1)]
    pickers: usize,
    /// Customers, each with five users.
    #[arg(long)]
    customers: Option<u32>,
    /// Tokens of each engine's KV cache.
    #[arg(long, default_value_t = 307_328)]
    kv_tokens: usize,
    /// Tokens of every reply.
    #[arg(long, default_value_t = 1_000)]
    reply_tokens: u32,
    /// A stage as RATExSECONDS, at 8 engines; may be given several times. By
    /// default the published sixteen.
    #[arg(long)]
    stage: Vec<Stage>,
    /// Milliseconds between two looks at engines' loads.
    #[arg(long, default_value_t = 200)]
    scrape_ms: u64,
    /// Milliseconds from an engine's step to the index.
    #[arg(long, default_value_t = 20)]
    event_delay_ms: u64,
    /// Milliseconds that a speculative route counts; 0: none are recorded.
    #[arg(long, default_value_t = 5_000)]
    speculation_ms: u64,
    /// Requests between gateway and engines, above which the gateway answers 503;
    /// 0: no limit. At 8 engines; grows with them.
    #[arg(long, default_value_t = 1_024)]
    in_flight_limit: usize,
    /// A number of the picker's policy, as NAME=NUMBER (`overload.saved_factor=1`);
    /// may be given several times.
    #[arg(long)]
    policy: Vec<PolicyChange>,
    /// Blocks of 64 bytes that the model of the published estimated scorer looks at.
    #[arg(long, default_value_t = 256)]
    scored_blocks: usize,
    /// Blocks of 64 bytes that it remembers of each engine.
    #[arg(long, default_value_t = 31_250)]
    remembered_blocks: u32,
    /// Measures the index and times decisions by this machine's clock; give
    /// --threads 1 with it.
    #[arg(long)]
    pub(crate) costs: bool,
    /// Prints what the mean time to the first token is made of.
    #[arg(long)]
    pub(crate) parts: bool,
    /// JSON with fields of the calibration; what it leaves out stays as it is.
    #[arg(long)]
    calibration: Option<PathBuf>,
    /// Strategies at a time.
    #[arg(long, default_value_t = 2)]
    pub(crate) threads: usize,
    /// Prints every stage.
    #[arg(long)]
    pub(crate) stages: bool,
    /// Where the report goes as JSON; with several seeds, all reports.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Where the plot goes as SVG; with several seeds, that of the first.
    #[arg(long)]
    pub(crate) plot: Option<PathBuf>,
}

impl Ladder {
    pub(crate) fn strategies(&self) -> Vec<Strategy> {
        let mut strategies = self.strategy.clone();
        if strategies.is_empty() {
            strategies.extend(Strategy::OURS);
        }
        if self.theirs {
            strategies.extend(Strategy::THEIRS);
        }
        strategies
    }

    pub(crate) fn options(&self, seed: u64) -> Result<FleetOptions> {
        let mut options = FleetOptions {
            seed,
            engines: self.engines,
            pickers: self.pickers,
            kv_tokens: self.kv_tokens,
            scrape: Duration::from_millis(self.scrape_ms),
            event_delay: Duration::from_millis(self.event_delay_ms),
            speculation: Duration::from_millis(self.speculation_ms),
            policy: self.policy.clone(),
            published_scorer: PublishedScorer {
                blocks: self.scored_blocks,
                remembered: self.remembered_blocks,
            },
            costs: self.costs,
            ..FleetOptions::default()
        };
        options.in_flight_limit =
            (self.in_flight_limit > 0).then(|| (self.in_flight_limit * self.engines / 8).max(1));
        let workload = &mut options.workload;
        workload.reply_tokens = self.reply_tokens;
        workload.new_questions = self.new_questions;
        workload.hot_share = self.hot_share;
        if !self.stage.is_empty() {
            workload.stages.clone_from(&self.stage);
        }
        workload.customers = self
            .customers
            .unwrap_or_else(|| self.scaled(workload.customers));
        for stage in workload.stages.iter_mut().chain([&mut workload.warm_up]) {
            stage.rate = self.scaled(stage.rate);
        }
        if let Some(file) = &self.calibration {
            let named = || format!("--calibration {}", file.display());
            let text = std::fs::read_to_string(file).with_context(named)?;
            options.calibration = serde_json::from_str(&text).with_context(named)?;
        }
        Ok(options)
    }

    fn scaled(&self, number: u32) -> u32 {
        let scaled = u64::from(number) * self.engines as u64 / 8;
        u32::try_from(scaled.max(1)).unwrap_or(u32::MAX)
    }
}
