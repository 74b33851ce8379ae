//! A score answer, before it takes any wire's shape.

use std::fmt;

use proto_model::{
    BlockKey, Incarnation, Medium, Profile, Publisher, Revision, Timestamp, TokenId, Trust,
};

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
    /// The prompt's keys, if they were asked for; at most
    /// [`crate::limits::ROUTE_KEY_LISTS`].
    pub route_keys: Vec<RouteKeys>,
    /// Estimation: whole blocks of the prompt's text, as far as they are looked
    /// at; else 0.
    pub prompt_blocks: u32,
}

/// A prompt's keys in one key space, first block to last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteKeys {
    /// How the keys come about.
    pub profile: KeyProfile,
    /// Tokens per block; bytes for [`KeyProfile::Text`].
    pub block_size: u32,
    /// The keys, at most [`crate::limits::ROUTE_KEYS`].
    pub keys: Vec<BlockKey>,
}

/// How the keys of an answer come about. Two of these are what blocks are stored
/// by; the third exists where only recorded routes are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyProfile {
    /// From token ids and extra keys.
    Content,
    /// From the engine's own hash.
    Engine,
    /// From the prompt's text.
    Text,
}

impl From<Profile> for KeyProfile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Content => Self::Content,
            Profile::Engine => Self::Engine,
        }
    }
}

impl fmt::Display for KeyProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Content => "content",
            Self::Engine => "engine",
            Self::Text => "text",
        })
    }
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
    /// Tokens per block; bytes for [`KeyProfile::Text`], and no tokens at all.
    pub block_size: u32,
    /// How the keys come about.
    pub profile: KeyProfile,
    /// The newest event's time, by the engine's clock.
    pub last_event: Timestamp,
    /// The part of the reusable tokens that is known only from a routing decision
    /// which the engine has not confirmed yet.
    pub speculative_tokens: u32,
}

impl EndpointScore {
    /// Tokens of the matched blocks, the last of the prompt among them; 0 where
    /// blocks are of text.
    #[must_use]
    pub fn matched_tokens(&self) -> u32 {
        match self.profile {
            KeyProfile::Text => 0,
            _ => self.matched_blocks.saturating_mul(self.block_size),
        }
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
