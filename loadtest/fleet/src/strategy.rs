//! Who chooses an endpoint, and what they know.

use std::time::Duration;

/// A way of routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Ours: KV events and speculative routes through state and index.
    Precise,
    /// Ours: recorded routes only.
    Estimated,
    /// Ours: no prefixes.
    LoadOnly,
    /// Any endpoint.
    Random,
    /// Each customer has an engine, as many customers each: what no router can know
    /// beforehand, to compare placements with.
    Partition,
    /// The published system's precise scorer: events, no speculative routes.
    PublishedPrecise,
    /// The published system's estimated scorer.
    PublishedEstimated,
    /// The published system's queue and cache scorers.
    PublishedLoad,
}

/// What a strategy asks the index for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knows {
    Nothing,
    /// Routes that were recorded, as text keys.
    Routes,
    /// What engines say; with what was just routed, if `speculative`.
    Events {
        speculative: bool,
    },
}

impl Strategy {
    /// The four that are compared by default.
    pub const OURS: [Self; 4] = [Self::Precise, Self::Estimated, Self::LoadOnly, Self::Random];
    /// Models of the published system, to tell its policy from its engines.
    pub const THEIRS: [Self; 3] = [
        Self::PublishedPrecise,
        Self::PublishedEstimated,
        Self::PublishedLoad,
    ];

    /// As the command line and reports name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Precise => "precise",
            Self::Estimated => "estimated",
            Self::LoadOnly => "load-only",
            Self::Random => "random",
            Self::Partition => "partition",
            Self::PublishedPrecise => "published-precise",
            Self::PublishedEstimated => "published-estimated",
            Self::PublishedLoad => "published-load",
        }
    }

    pub(crate) fn knows(self) -> Knows {
        match self {
            Self::Precise => Knows::Events { speculative: true },
            Self::PublishedPrecise | Self::Partition => Knows::Events { speculative: false },
            Self::Estimated | Self::PublishedEstimated => Knows::Routes,
            Self::LoadOnly | Self::Random | Self::PublishedLoad => Knows::Nothing,
        }
    }

    /// The published system asks engines for their load every 50 ms.
    pub(crate) fn scrape(self, ours: Duration) -> Duration {
        match self {
            Self::PublishedPrecise | Self::PublishedEstimated | Self::PublishedLoad => {
                ours.min(Duration::from_millis(50))
            }
            Self::Precise | Self::Estimated | Self::LoadOnly | Self::Random | Self::Partition => {
                ours
            }
        }
    }
}
