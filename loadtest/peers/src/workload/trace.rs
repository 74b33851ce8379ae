//! Everything that happens in one scenario, written down once and replayed to
//! every structure.

use serde::{Deserialize, Serialize};

use super::corpus::{ChainSpec, Corpus};
use super::scenario::Scenario;

/// One engine's news.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) endpoint: u32,
    pub(crate) act: Act,
}

/// What an engine did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Act {
    /// It computed blocks `from..to` of a chain, all of which it holds now.
    Stored {
        chain: u32,
        from: u32,
        to: u32,
        /// Those of them that it did not hold before, as ranges.
        fresh: Vec<(u32, u32)>,
    },
    /// It gave up blocks `from..to` of a chain, the last one first.
    Removed { chain: u32, from: u32, to: u32 },
    /// It began anew, with nothing.
    Restarted,
}

impl Event {
    /// Blocks named.
    pub(crate) fn blocks(&self) -> u64 {
        match self.act {
            Act::Stored { from, to, .. } | Act::Removed { from, to, .. } => u64::from(to - from),
            Act::Restarted => 0,
        }
    }
}

/// A question: who holds how much of this prompt?
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Query {
    pub(crate) chain: u32,
    pub(crate) blocks: u32,
}

/// The truth at one moment.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// What users ask for at that time, most popular most often.
    pub(crate) queries: Vec<Query>,
    /// What the naive model answers to the first of them: endpoints and blocks,
    /// by endpoint.
    pub(crate) answers: Vec<Vec<(u32, u32)>>,
    /// (endpoint, block) pairs that are true.
    pub(crate) memberships: u64,
    /// Different blocks among them.
    pub(crate) distinct: u64,
}

/// A scenario, played out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Trace {
    pub(crate) scenario: Scenario,
    pub(super) chains: Vec<ChainSpec>,
    /// Stores only, until the caches are full.
    pub(crate) load: Vec<Event>,
    pub(crate) loaded: Checkpoint,
    /// Stores, evictions, restarts.
    pub(crate) churn: Vec<Event>,
    pub(crate) churned: Checkpoint,
    /// More of the same, for the writer beside the lookups.
    pub(crate) beside: Vec<Event>,
    /// Restarts of full endpoints, one by one.
    pub(crate) restarts: Vec<Event>,
    /// Removals only, until some endpoints hold nothing.
    pub(crate) drain: Vec<Event>,
    pub(crate) ended: Checkpoint,
}

impl Trace {
    /// The blocks that the events and questions name.
    pub(crate) fn corpus(&self) -> Corpus {
        Corpus::of(&self.chains)
    }
}
