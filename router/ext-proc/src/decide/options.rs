//! What may be set about decisions.

use std::time::Duration;

use router_picker::Policy;

/// Times and numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct DeciderOptions {
    /// How scores and load are weighed.
    pub policy: Policy,
    /// Endpoints named to the gateway: the first choice, then fallbacks. Gateways
    /// that route by ORIGINAL_DST can use only one.
    pub choices: usize,
    /// How long scorers may take, within the request's deadline.
    pub score_timeout: Duration,
    /// What is added to that for each MiB of the body: long prompts take longer to
    /// cut into tokens, and are worth more.
    pub score_timeout_per_mib: Duration,
    /// How long a decision counts as held before the engine says so.
    pub speculation: Duration,
    /// The cluster that the pool's endpoints are in, as the index names it. `None`:
    /// their addresses are enough.
    pub cluster: Option<String>,
}

impl Default for DeciderOptions {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            choices: 1,
            score_timeout: Duration::from_millis(200),
            score_timeout_per_mib: Duration::from_millis(400),
            speculation: Duration::from_secs(5),
            cluster: None,
        }
    }
}
