//! What requests really found in the cache: the truth that predictions are
//! compared with.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// One request, from its first token on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// Its `x-request-id`, or the engine's own if it had none.
    pub request_id: String,
    /// Which engine served it.
    pub engine: String,
    /// Tokens of its prompt.
    pub prompt_tokens: usize,
    /// Of these, found in the cache.
    pub cached_tokens: usize,
    /// Tokens generated.
    pub generated_tokens: usize,
    /// Whether it got all of its reply.
    pub complete: bool,
}

/// The last requests.
#[derive(Debug)]
pub(crate) struct History {
    limit: usize,
    requests: VecDeque<Truth>,
}

impl History {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            requests: VecDeque::new(),
        }
    }

    pub(crate) fn add(&mut self, truth: Truth) {
        if self.requests.len() == self.limit {
            self.requests.pop_front();
        }
        self.requests.push_back(truth);
    }

    /// All, or those with this request id; oldest first.
    pub(crate) fn find(&self, id: Option<&str>) -> Vec<Truth> {
        let wanted = |truth: &&Truth| id.is_none_or(|id| truth.request_id == id);
        self.requests.iter().filter(wanted).cloned().collect()
    }
}
