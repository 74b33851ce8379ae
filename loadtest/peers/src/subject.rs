//! What is measured: one structure, used as its authors use it.

mod actor;
mod chain;
mod events;
mod ours;
mod pooled;
mod radix;

use dynamo_kv_router::{ConcurrentRadixTreeCompressed, PositionalIndexer};
use serde::{Deserialize, Serialize};

use crate::workload::{Corpus, Event, Prompt, Scenario};

pub(crate) use actor::RadixActor;
pub(crate) use chain::Chain;
pub(crate) use ours::Ours;
pub(crate) use pooled::Pooled;
pub(crate) use radix::Radix;

/// Dynamo's concurrent tree behind its thread pool.
pub(crate) type ConcurrentRadix = Pooled<ConcurrentRadixTreeCompressed>;
/// Dynamo's positional index behind its thread pool.
pub(crate) type Positional = Pooled<PositionalIndexer>;

/// The structures by name.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Structure {
    /// `scorer-index`: `PrefixIndex`.
    Kvatlas,
    /// `kv-index`: `ShardedChainIndex`.
    KvIndex,
    /// `dynamo-kv-router`: `ConcurrentRadixTreeCompressed`.
    DynamoConcurrent,
    /// `dynamo-kv-router`: `RadixTree`, called directly by one thread.
    DynamoRadix,
    /// `dynamo-kv-router`: `RadixTree` in its `KvIndexer`.
    DynamoActor,
    /// `dynamo-kv-router`: `PositionalIndexer`.
    DynamoPositional,
}

/// What a structure is made for.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) scenario: Scenario,
    /// Threads that apply events, for those structures that can use several.
    pub(crate) lanes: usize,
}

impl Setup {
    pub(crate) fn endpoints(&self) -> u32 {
        self.scenario.endpoints
    }
}

/// Who matches how many blocks: endpoints and blocks, in no order.
pub(crate) type Answer = Vec<(u32, u32)>;

/// A structure under measurement.
///
/// `convert` and `ask` prepare what the structure takes, outside the measured
/// time; `apply`, `settle` and `look` are what is measured.
pub(crate) trait Subject: Sized {
    /// An event in the structure's own form.
    type Event: Send;
    /// What a reading thread keeps between lookups, its question included.
    type Reader;

    /// Empty, with all endpoints known.
    fn new(setup: &Setup) -> Self;

    /// Appends one event in the structure's own form. Called in order.
    fn convert(&mut self, corpus: &Corpus, event: &Event, out: &mut Vec<Self::Event>);

    /// Takes events, in order. May return before they are applied.
    fn apply(&self, events: Vec<Self::Event>);

    /// Returns when everything that was taken has been applied.
    fn settle(&self) {}

    /// The upkeep that its authors do in quiet moments.
    fn rest(&self) {}

    /// For one reading thread.
    fn reader(&self) -> Self::Reader;

    /// Puts a prompt's hashes where the next lookup reads them: an owner that has
    /// just computed them would have them there, too.
    fn ask(&self, reader: &mut Self::Reader, prompt: Prompt<'_>);

    /// Looks up what was asked; the number of endpoints that match. The answer is
    /// complete in memory before it is dropped.
    fn look(&self, reader: &mut Self::Reader) -> usize;

    /// The answer itself.
    fn answer(&self, reader: &mut Self::Reader) -> Answer;
}
