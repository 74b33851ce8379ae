//! Which role a configuration is read for: the same file may serve all of them.

use clap::ValueEnum;

/// A way to run the binary. Each needs other settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Everything in one process.
    Standalone,
    /// Events in.
    Ingestor,
    /// A node of the replicated store.
    Store,
    /// Questions answered.
    Scorer,
    /// Requests routed.
    Epp,
}

impl Role {
    /// Whether it listens to engines.
    pub(super) fn ingests(self) -> bool {
        matches!(self, Self::Standalone | Self::Ingestor)
    }
}
