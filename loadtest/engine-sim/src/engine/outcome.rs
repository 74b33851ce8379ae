//! What comes out of an engine.

use std::time::Duration;

use super::event::CacheEvent;
use super::sequence::RequestId;

/// One step of the engine. What it says holds once `duration` has passed.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutcome {
    /// How long the step takes.
    pub duration: Duration,
    /// The tokens that it generates, at most one per request.
    pub tokens: Vec<Generated>,
    /// What changed in the cache, in order.
    pub events: Vec<CacheEvent>,
    /// The engine while the step runs.
    pub load: Load,
}

/// One token of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generated {
    /// Whose.
    pub id: RequestId,
    /// Which.
    pub token: u32,
    /// Given with the first token.
    pub first: Option<First>,
    /// Whether it is the last.
    pub last: bool,
}

/// What is known of a request when it has its first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct First {
    /// Of its prompt, found in the cache.
    pub cached_tokens: usize,
    /// From its submission to the end of the step.
    pub after: Duration,
}

/// How busy an engine is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Requests that are being computed.
    pub running: usize,
    /// Requests that wait, with those on their way to the engine.
    pub waiting: usize,
    /// Share of the cache in use by running requests, 0 to 1.
    pub kv_usage: f64,
}

/// Counts since the engine began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tokens looked up in the cache.
    pub prefix_queries: u64,
    /// Of these, found.
    pub prefix_hits: u64,
    /// Running requests that had to give up their blocks.
    pub preemptions: u64,
    /// Prompt tokens of requests that got their first token.
    pub prompt_tokens: u64,
    /// Tokens generated.
    pub generated_tokens: u64,
}
