//! What is known of a request and of the endpoints that may serve it.

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Tokens of the prompt; 0: unknown.
    pub prompt_tokens: u32,
    /// Below 0 the request is shed when every endpoint is saturated.
    pub priority: i32,
    /// Decides among near-ties. Draw a new one for every request.
    pub seed: u64,
    /// How many endpoints to rank; 0 counts as 1.
    pub choices: usize,
}

/// One endpoint that may serve the request.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Candidate {
    /// What the engine says of itself; `None`: nothing that is fresh enough.
    pub load: Option<Load>,
    /// What this picker has sent there.
    pub in_flight: InFlight,
    /// Tokens of the prompt that need not be computed there. At most the
    /// prompt's are counted, where those are known.
    pub reusable_tokens: u32,
    /// The same as a share of the prompt, weighted by medium: 0 to 1.
    pub prefix: f64,
}

/// The load that an engine's metrics report.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Requests that wait for a place in the batch.
    pub waiting: u32,
    /// Requests in the batch.
    pub running: u32,
    /// Share of the KV cache that running requests use: 0 to 1.
    pub kv_usage: f64,
}

/// This picker's own books of one endpoint. They know of requests that no
/// metric shows yet, and nothing of what other pickers send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InFlight {
    /// Requests sent and not finished.
    pub requests: u32,
    /// Of their prompts, tokens that must be computed, until the first token of
    /// the answer is seen.
    pub prefill_tokens: u64,
    /// Of the requests, those sent after the load was sampled.
    pub since_scrape: u32,
}

/// `value` within 0 to 1; not a number counts as 0.
pub(crate) fn share(value: f64) -> f64 {
    if value.is_nan() {
        0.0
    } else {
        value.clamp(0.0, 1.0)
    }
}
