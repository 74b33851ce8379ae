//! Which store.

use clap::ValueEnum;
use serde::Serialize;

/// A store to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// `kvatlas standalone`, in memory.
    Embedded,
    /// `kvatlas standalone` with `store.data`.
    EmbeddedDisk,
    /// Three nodes of `kvatlas store`, an ingestor, a scorer.
    Raft,
    /// A Redis server, an ingestor, a scorer.
    Redis,
}

impl Kind {
    /// The name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::EmbeddedDisk => "embedded-disk",
            Self::Raft => "raft",
            Self::Redis => "redis",
        }
    }
}
