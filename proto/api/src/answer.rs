//! A score answer, before it takes any wire's shape.

use std::fmt;

use proto_model::{Incarnation, Medium, Profile, Publisher, Revision, Timestamp, TokenId, Trust};

/// Who holds how much of a prompt, and how fresh that knowledge is.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreAnswer {
    /// The base model, after aliases and adapters are resolved.
    pub model: String,
    /// The adapter, if any.
    pub lora: Option<String>,
    /// Tokens of the whole prompt, if known.
    pub prompt_tokens: Option<u32>,
    /// Best first; equals by endpoint and rank.
    pub endpoints: Vec<EndpointScore>,
    /// Every change up to here is counted; 0 where several stores are followed.
    pub revision: Revision,
    /// Milliseconds since the store was last heard; of several, the longest.
    pub age_ms: u64,
    /// Where the replica stands; of several, stale unless all are live.
    pub state: ReplicaState,
    /// Each store, where several are followed; else empty.
    pub stores: Vec<StoreStanding>,
    /// What the caller should know; bounded by [`crate::limits::WARNINGS`].
    pub warnings: Vec<String>,
    /// Candidates not known as serving this model, as they were named.
    pub unknown_candidates: Vec<String>,
    /// The prompt's token ids, if they were asked for.
    pub token_ids: Vec<TokenId>,
}

/// One endpoint and rank of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointScore {
    /// Who.
    pub publisher: Publisher,
    /// Blocks there without a hole from the first on, on whatever medium.
    pub matched_blocks: u32,
    /// What the engine will not compute again: vLLM's `cached_tokens`.
    pub reusable_tokens: u32,
    /// The reusable tokens on their fastest medium, in [`Medium::ALL`]'s order.
    pub by_medium: [u32; 4],
    /// Weighted reusable tokens over the prompt's tokens, 0 to 1.
    pub score: f64,
    /// How far the memberships can be believed.
    pub trust: Trust,
    /// Which lifetime of the engine.
    pub incarnation: Incarnation,
    /// Tokens per block.
    pub block_size: u32,
    /// How the keys come about.
    pub profile: Profile,
    /// The newest event's time, by the engine's clock.
    pub last_event: Timestamp,
}

impl EndpointScore {
    /// Tokens of the matched blocks, the last of the prompt among them.
    #[must_use]
    pub fn matched_tokens(&self) -> u32 {
        self.matched_blocks.saturating_mul(self.block_size)
    }

    /// Reusable tokens that lie on `medium` at best.
    #[must_use]
    pub fn on(&self, medium: Medium) -> u32 {
        self.by_medium[medium as usize]
    }
}

/// How far one of several followed stores is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStanding {
    /// The cluster that its endpoints are listed under, or the store's number.
    pub cluster: String,
    /// Every change up to here is counted.
    pub revision: Revision,
    /// Milliseconds since it was last heard.
    pub age_ms: u64,
    /// Where its replica stands.
    pub state: ReplicaState,
}

/// Where a replica stands towards its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplicaState {
    /// Never yet complete.
    Starting,
    /// Following.
    Live,
    /// Cut off; right as of its revision.
    Stale,
}

impl ReplicaState {
    /// The lower-case name used in JSON answers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Live => "live",
            Self::Stale => "stale",
        }
    }
}

impl fmt::Display for ReplicaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
