//! What a run is made of.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

/// What keeps the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// One process with an embedded store in memory.
    Standalone,
    /// Three nodes of `kvatlas store`.
    Raft,
    /// A `redis-server` that syncs every write before it answers.
    Redis,
    /// A `redis-server` that syncs once a second, and may lose that second.
    RedisEverysec,
}

impl Backend {
    pub(crate) fn is_redis(self) -> bool {
        matches!(self, Self::Redis | Self::RedisEverysec)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Raft => "raft",
            Self::Redis => "redis",
            Self::RedisEverysec => "redis-everysec",
        }
    }
}

/// How many of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) nodes: u64,
    pub(crate) ingestors: usize,
    pub(crate) scorers: usize,
    pub(crate) engines: usize,
    /// Publishers of markers, written at the same time.
    pub(crate) writers: u32,
    /// Nodes keep their data on file systems of a few megabytes.
    pub(crate) small_disks: bool,
    /// Processes get their time from a file, which the scenario writes.
    pub(crate) false_clocks: bool,
}

/// The rest of it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) kvatlas: PathBuf,
    pub(crate) redis_server: PathBuf,
    /// Shows processes a false time.
    pub(crate) faketime: PathBuf,
    pub(crate) backend: Backend,
    pub(crate) shape: Shape,
    /// The shortest and the longest that a follower waits for its leader.
    pub(crate) election_timeouts: (Duration, Duration),
    /// The size at which nodes replace their log by a snapshot.
    pub(crate) log_kib: u64,
    /// Between two steps of one engine, on average.
    pub(crate) engine_pause: Duration,
    /// How long the system may take to come to rest after the last fault.
    pub(crate) settle_limit: Duration,
    /// Make the comparison fail.
    pub(crate) forget_unheard: bool,
    pub(crate) verbose: bool,
}
