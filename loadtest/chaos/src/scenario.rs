//! The scenarios by name, and what becomes of one run.

mod disks;
mod engines;
mod faults;
mod mixed;
mod nodes;
mod redis;
mod roles;
mod rolling;

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::report::Measured;
use crate::settings::{Backend, Settings, Shape};
use crate::world::World;

/// Which faults, in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// SIGKILL of the store's leader (or of the Redis) under load.
    LeaderKill,
    /// SIGKILL of all nodes at once.
    PowerLoss,
    /// SIGTERM and a new start for every process, one at a time, under load.
    RollingRestart,
    /// Nodes cut off from each other, one way or both; slow links.
    Partition,
    /// SIGSTOP and SIGCONT of any process.
    Freeze,
    /// No room on a node's disk, or on all. Needs the right to mount.
    DiskFull,
    /// A node's files damaged while it is down; the node is replaced.
    DamagedDisk,
    /// Two ingestors on the same engines; either dies, engines restart.
    ActiveActive,
    /// A scorer dies and starts with nothing.
    ColdStart,
    /// Engines restart, clear their caches, have their clocks set.
    EngineRestart,
    /// Clocks of all processes jump, each its own way. Needs libfaketime.
    ClockJump,
    /// The Redis comes back empty.
    StoreLost,
    /// Everything, as the seed has it.
    Mixed,
}

impl Scenario {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LeaderKill => "leader-kill",
            Self::PowerLoss => "power-loss",
            Self::RollingRestart => "rolling-restart",
            Self::Partition => "partition",
            Self::Freeze => "freeze",
            Self::DiskFull => "disk-full",
            Self::DamagedDisk => "damaged-disk",
            Self::ActiveActive => "active-active",
            Self::ColdStart => "cold-start",
            Self::EngineRestart => "engine-restart",
            Self::ClockJump => "clock-jump",
            Self::StoreLost => "store-lost",
            Self::Mixed => "mixed",
        }
    }

    /// Backends that it makes sense on.
    pub(crate) fn fits(self, backend: Backend) -> bool {
        match self {
            Self::Partition | Self::DiskFull | Self::DamagedDisk => backend == Backend::Raft,
            Self::StoreLost => backend.is_redis(),
            Self::LeaderKill | Self::PowerLoss | Self::ActiveActive | Self::RollingRestart => {
                backend != Backend::Standalone
            }
            Self::ClockJump
            | Self::Freeze
            | Self::ColdStart
            | Self::EngineRestart
            | Self::Mixed => true,
        }
    }

    /// How many processes it needs.
    pub(crate) fn shape(self) -> Shape {
        let ingestors = match self {
            Self::ActiveActive | Self::RollingRestart | Self::Mixed => 2,
            _ => 1,
        };
        Shape {
            nodes: 3,
            ingestors,
            scorers: 2,
            engines: 6,
            writers: 4,
            small_disks: self == Self::DiskFull,
            false_clocks: self == Self::ClockJump,
        }
    }

    /// Whether the runs of a series may share one system under test.
    pub(crate) fn may_share(self) -> bool {
        // After a loss, nothing is exact any more; and when every node has been
        // replaced, ingestors and scorers would have to be told where to look.
        !matches!(self, Self::StoreLost | Self::DamagedDisk)
    }

    /// The faults of one run, healing, and the comparison.
    pub(crate) async fn run(self, world: &mut World, seed: u64) -> Result<Measured> {
        let mut dice = Dice::new(seed);
        world.findings.step("work");
        world.resume();
        dice.wait(150..400).await;
        let measured = match self {
            Self::LeaderKill => nodes::leader_kill(world, &mut dice).await?,
            Self::PowerLoss => nodes::power_loss(world, &mut dice).await?,
            Self::RollingRestart => rolling::rolling_restart(world, &mut dice).await?,
            Self::Partition => nodes::partition(world, &mut dice).await?,
            Self::DiskFull => disks::disk_full(world, &mut dice).await?,
            Self::DamagedDisk => disks::damaged_disk(world, &mut dice).await?,
            Self::Freeze => faults::freeze(world, &mut dice).await?,
            Self::ActiveActive => roles::active_active(world, &mut dice).await?,
            Self::ColdStart => roles::cold_start(world, &mut dice).await?,
            Self::EngineRestart => engines::restarts(world, &mut dice).await?,
            Self::ClockJump => faults::clock_jump(world, &mut dice).await?,
            Self::StoreLost => redis::store_lost(world, &mut dice).await?,
            Self::Mixed => mixed::mixed(world, &mut dice).await?,
        };
        world.recover().await?;
        dice.wait(100..300).await;
        world.compare().await?;
        Ok(measured)
    }
}

/// The chance of one run: all of it from the seed.
pub(crate) struct Dice {
    random: SmallRng,
}

impl Dice {
    fn new(seed: u64) -> Self {
        Self {
            random: SmallRng::seed_from_u64(seed),
        }
    }

    /// One of `0..count`.
    pub(crate) fn of(&mut self, count: usize) -> usize {
        self.random.random_range(0..count)
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.random.random()
    }

    pub(crate) fn milliseconds(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(range))
    }

    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        values.shuffle(&mut self.random);
    }

    pub(crate) async fn wait(&mut self, milliseconds: std::ops::Range<u64>) {
        tokio::time::sleep(self.milliseconds(milliseconds)).await;
    }
}

/// How long a run may take before it counts as hanging.
pub(crate) fn run_limit(settings: &Settings) -> Duration {
    settings.settle_limit * 4
}
