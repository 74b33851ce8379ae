//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::measure::Effort;
use crate::subject::Structure;
use crate::workload::{Evictions, Scenario};

/// Compares prefix indexes: lookup times, apply rates, memory, exactness.
#[derive(Debug, Clone, Parser)]
pub(crate) struct Args {
    /// Structures to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [
        Structure::Kvatlas, Structure::KvIndex, Structure::DynamoConcurrent,
        Structure::DynamoRadix, Structure::DynamoActor, Structure::DynamoPositional,
    ])]
    pub(crate) structures: Vec<Structure>,
    /// Endpoints of the fleets.
    #[arg(long, value_delimiter = ',', default_values_t = [8, 64, 1_000, 4_000])]
    pub(crate) fleets: Vec<u32>,
    /// Tokens per block.
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64])]
    pub(crate) block_sizes: Vec<u32>,
    /// Tokens of a full-grown prompt.
    #[arg(long, value_delimiter = ',', default_values_t = [32_768, 131_072])]
    pub(crate) prompts: Vec<u32>,
    /// In what order engines evict; anything but `lru` leaves holes.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Evictions::Lru])]
    pub(crate) evictions: Vec<Evictions>,
    /// Memberships of a fleet to aim at.
    #[arg(long, default_value_t = 8_000_000)]
    pub(crate) memberships: u64,
    /// Block events of the churn, per block that the fleet can hold.
    #[arg(long, default_value_t = 4.0)]
    pub(crate) churn: f64,
    /// Block events of the churn, at most.
    #[arg(long, default_value_t = 64_000_000)]
    pub(crate) most_churn: u64,
    /// Different questions per stage.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) queries: usize,
    /// Lookups timed per stage, at most.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) lookups: usize,
    /// Longest time for them, in seconds.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) longest: f64,
    /// Seconds of lookups beside a writer.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) beside: f64,
    /// Block events per second of that writer.
    #[arg(long, default_value_t = 500_000.0)]
    pub(crate) write_rate: f64,
    /// Threads that apply events, for structures that can use several (ours
    /// takes one writer).
    #[arg(long, default_value_t = 1)]
    pub(crate) lanes: usize,
    /// Most memory that a structure may allocate, in GiB; one that takes more is
    /// given up.
    #[arg(long, default_value_t = 14.0)]
    pub(crate) max_gib: f64,
    /// Runs of every structure in every scenario, each in a new process.
    #[arg(long, default_value_t = 3)]
    pub(crate) repeats: usize,
    /// Seed of the workload.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Small fleets, short runs, once: shows that everything works, not figures.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Writes everything that was measured, run by run, to this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Measures one structure in this process; how the program calls itself.
    #[arg(long, hide = true, value_enum, requires = "trace")]
    pub(crate) child: Option<Structure>,
    /// The scenario's trace, for `--child`.
    #[arg(long, hide = true)]
    pub(crate) trace: Option<PathBuf>,
}

impl Args {
    /// With `--quick`, everything smaller.
    pub(crate) fn sized(&self) -> Self {
        let mut args = self.clone();
        if args.quick {
            args.fleets = vec![8, 64];
            args.block_sizes = vec![64];
            args.prompts = vec![32_768];
            args.evictions = vec![Evictions::Lru, Evictions::Scattered];
            args.memberships = 200_000;
            args.queries = 300;
            args.lookups = 2_000;
            args.longest = 0.5;
            args.beside = 0.3;
            args.repeats = 1;
        }
        args
    }

    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios = Vec::new();
        for &evictions in &self.evictions {
            for &prompt_tokens in &self.prompts {
                for &block_tokens in &self.block_sizes {
                    for &endpoints in &self.fleets {
                        scenarios.push(self.scenario(
                            endpoints,
                            block_tokens,
                            prompt_tokens,
                            evictions,
                        ));
                    }
                }
            }
        }
        scenarios
    }

    fn scenario(
        &self,
        endpoints: u32,
        block_tokens: u32,
        prompt_tokens: u32,
        evictions: Evictions,
    ) -> Scenario {
        let mut scenario = Scenario {
            endpoints,
            block_tokens,
            prompt_tokens,
            evictions,
            memberships: self.memberships,
            churn_events: 0,
            // A little more than the writer needs.
            beside_events: (self.write_rate * (self.beside + 0.5)) as u64,
            queries: self.queries,
            seed: self.seed,
        };
        let room = scenario.capacity() as f64 * f64::from(endpoints);
        scenario.churn_events = self.most_churn.min((room * self.churn) as u64);
        scenario
    }

    pub(crate) fn effort(&self) -> Effort {
        Effort {
            lookups: self.lookups,
            longest: Duration::from_secs_f64(self.longest),
            beside: Duration::from_secs_f64(self.beside),
            rate: self.write_rate,
            most_bytes: (self.max_gib * f64::from(1 << 30)) as isize,
        }
    }
}
