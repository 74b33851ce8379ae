//! What can be made to go wrong.

use serde::{Deserialize, Serialize};

/// Everything that goes wrong at the moment; by default nothing. `PUT
/// /debug/faults` replaces all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Every response's connection is cut after so many tokens.
    pub die_after_tokens: Option<usize>,
    /// Every response stops after so many tokens, until this is taken back.
    pub hold_after_tokens: Option<usize>,
    /// Connections are accepted, but nothing is answered and nothing computed.
    pub frozen: bool,
    /// Responses wait so long before their first token, in real milliseconds.
    pub first_token_delay_ms: u64,
    /// Requests and health checks are answered with this status.
    pub refuse_status: Option<u16>,
    /// Events are numbered and kept for replays, but not sent.
    pub silent: bool,
}
