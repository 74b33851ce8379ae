//! What a run is made of.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::deployment::{Binaries, Kind};
use crate::pool::Shape;

/// Blocks of a prompt where the cold start is measured: many memberships from few
/// messages.
const LONG_PROMPT_BLOCKS: usize = 256;

/// Measures stores: rate, freshness, disk, direct appends, cold start.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The kvatlas binary.
    #[arg(long, default_value = "target/release/kvatlas")]
    kvatlas: PathBuf,
    /// The Redis or Valkey server.
    #[arg(long, default_value = "redis-server")]
    redis_server: PathBuf,
    /// The stores, measured one after another.
    #[arg(long, value_delimiter = ',', value_enum,
          default_values_t = [Kind::Embedded, Kind::EmbeddedDisk, Kind::Raft, Kind::Redis])]
    pub(crate) stores: Vec<Kind>,
    /// What is measured.
    #[arg(long, value_delimiter = ',', value_enum,
          default_values_t = [Part::Throughput, Part::Freshness, Part::Direct, Part::Disk, Part::ColdStart])]
    pub(crate) parts: Vec<Part>,
    /// Simulated engines.
    #[arg(long, default_value_t = 32)]
    pub(crate) engines: usize,
    /// Blocks that each engine's cache holds.
    #[arg(long, default_value_t = 8_192)]
    capacity: usize,
    /// Blocks of a prompt; a message stores one prompt and removes another.
    #[arg(long, default_value_t = 64)]
    prompt_blocks: usize,
    /// Engines that run the same prompts.
    #[arg(long, default_value_t = 4)]
    sharing: usize,
    /// Block events of the throughput.
    #[arg(long, default_value_t = 20_000_000)]
    pub(crate) events: u64,
    /// Block events per second of the freshness; none: half the throughput.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Seconds that the freshness, and direct appends, are measured for.
    #[arg(long, default_value_t = 20)]
    pub(crate) seconds: u64,
    /// Writers of direct appends.
    #[arg(long, default_value_t = 8)]
    pub(crate) writers: usize,
    /// Block events of the churn on the disk.
    #[arg(long, default_value_t = 360_000_000)]
    pub(crate) churn: u64,
    /// Looks at the disk during the churn.
    #[arg(long, default_value_t = 36)]
    pub(crate) samples: u64,
    /// Memberships of the cold start.
    #[arg(long, default_value_t = 5_000_000)]
    memberships: usize,
    /// Where data goes. None: where temporary files go.
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,
    /// A file for the figures as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// As fast as events are taken.
    Throughput,
    /// Sent until seen. Needs the throughput, or a rate.
    Freshness,
    /// Through the store's own service.
    Direct,
    /// Churn on the disk, and starting over it.
    Disk,
    /// A scorer that starts over a full store.
    ColdStart,
}

impl Args {
    pub(crate) fn binaries(&self) -> Binaries {
        Binaries {
            kvatlas: self.kvatlas.clone(),
            redis_server: self.redis_server.clone(),
        }
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    pub(crate) fn shape(&self) -> Shape {
        Shape {
            engines: self.engines,
            prompt_blocks: self.prompt_blocks,
            prompts_held: self.capacity.div_ceil(self.prompt_blocks),
            sharing: self.sharing,
        }
    }

    pub(crate) fn cold_shape(&self) -> Shape {
        let held = self.memberships.div_ceil(self.engines * LONG_PROMPT_BLOCKS);
        Shape {
            prompt_blocks: LONG_PROMPT_BLOCKS,
            prompts_held: held,
            ..self.shape()
        }
    }
}
