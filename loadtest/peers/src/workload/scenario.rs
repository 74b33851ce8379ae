//! Which fleet, which prompts, how much of everything.

use serde::{Deserialize, Serialize};

/// In what order engines give blocks up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Evictions {
    /// Least recently used first, the end of a prompt before its beginning, as
    /// vLLM does. What an engine holds is always closed towards the beginning.
    Lru,
    /// Pieces from anywhere in the older half of the prompts: leaves holes.
    Scattered,
}

/// One workload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Scenario {
    pub(crate) endpoints: u32,
    /// Tokens per block.
    pub(crate) block_tokens: u32,
    /// Tokens of a full-grown prompt.
    pub(crate) prompt_tokens: u32,
    pub(crate) evictions: Evictions,
    /// Memberships of the whole fleet to aim at; large prompts on many endpoints
    /// take more.
    pub(crate) memberships: u64,
    /// Block events of the churn.
    pub(crate) churn_events: u64,
    /// Block events kept ready for the writer beside the lookups.
    pub(crate) beside_events: u64,
    /// Different questions.
    pub(crate) queries: usize,
    pub(crate) seed: u64,
}

impl Scenario {
    /// Blocks of a full-grown prompt.
    pub(crate) fn blocks(&self) -> u32 {
        (self.prompt_tokens / self.block_tokens).max(8)
    }

    /// Blocks that the prompts of one context have in common: half of them.
    pub(crate) fn context_blocks(&self) -> u32 {
        self.blocks() / 2
    }

    /// Blocks of a user's own part, full-grown.
    pub(crate) fn tail_blocks(&self) -> u32 {
        self.blocks() - self.context_blocks()
    }

    /// Blocks by which a user's part grows with each turn.
    pub(crate) fn turn_blocks(&self) -> u32 {
        (self.tail_blocks() / 4).max(1)
    }

    /// Blocks that one endpoint can hold: one prompt and a half at least.
    pub(crate) fn capacity(&self) -> usize {
        let share = self.memberships / u64::from(self.endpoints);
        share.max(u64::from(self.blocks()) * 3 / 2) as usize
    }

    /// Chance that an endpoint restarts before a request: so that restarts drop
    /// about a quarter of what is stored.
    pub(crate) fn restart_chance(&self) -> f64 {
        f64::from(self.blocks()) / 12.0 / self.capacity() as f64
    }

    /// Different contexts (system prompts, documents).
    pub(crate) fn contexts(&self) -> usize {
        (self.endpoints as usize / 4).clamp(16, 256)
    }

    /// For tables and progress.
    pub(crate) fn name(&self) -> String {
        let holes = match self.evictions {
            Evictions::Lru => "",
            Evictions::Scattered => ", holes",
        };
        format!(
            "{} endpoints, blocks of {}, prompts of {}k tokens{holes}",
            self.endpoints,
            self.block_tokens,
            self.prompt_tokens / 1024
        )
    }
}
