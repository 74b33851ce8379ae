//! The overload rule: a hot prefix must not bury one endpoint.
//!
//! ```text
//!  work  = max(waiting x waiting_tokens, own prefill tokens)
//!        + max(running, own requests) x running_tokens
//!  room  = 1 - share of the cache in use, at least 0.05
//!  cost  = work + saved_factor x (prompt - reusable tokens) / room
//!  may come first: cost <= least cost of all + slack_tokens
//! ```
//! Of two endpoints with empty caches, the one with the prefix is left when its extra
//! work is more than `saved_factor` times what it saves, and the slack on top. The
//! fuller the other one's cache, the longer the prefix stays: a second copy takes
//! the room of other prefixes, or of requests that run, and these are computed again.

use crate::candidate::{Ask, Candidate, share};
use crate::policy::Policy;

/// A fuller cache than this is as bad: the last blocks are free for moments only.
const LEAST_ROOM: f64 = 0.05;

/// The rule for one request.
pub(crate) struct Eligible<'a> {
    policy: &'a Policy,
    /// Nothing counts as reusable beyond this.
    prompt_tokens: u32,
    /// The highest cost that may come first.
    most: f64,
}

impl<'a> Eligible<'a> {
    pub(crate) fn new(policy: &'a Policy, ask: &Ask, candidates: &[Candidate]) -> Self {
        let mut rule = Self {
            policy,
            prompt_tokens: if policy.weights.prefix == 0.0 {
                0
            } else if ask.prompt_tokens == 0 {
                u32::MAX
            } else {
                ask.prompt_tokens
            },
            most: f64::INFINITY,
        };
        // An endpoint that says nothing may have a queue that nobody sees: it
        // does not set the mark for those that tell theirs.
        let known = candidates.iter().any(|c| c.load.is_some());
        let least = candidates
            .iter()
            .filter(|c| c.load.is_some() || !known)
            .map(|c| rule.cost(c))
            .fold(f64::INFINITY, f64::min);
        rule.most = least + f64::from(policy.overload.slack_tokens);
        rule
    }

    /// Whether the endpoint may come first.
    pub(crate) fn covers(&self, candidate: &Candidate) -> bool {
        self.cost(candidate) <= self.most
    }

    /// Tokens of the prompt that need not be computed there.
    pub(crate) fn reusable(&self, candidate: &Candidate) -> u32 {
        candidate.reusable_tokens.min(self.prompt_tokens)
    }

    fn cost(&self, candidate: &Candidate) -> f64 {
        let saved = f64::from(self.reusable(candidate));
        let factor = self.policy.overload.saved_factor;
        if self.prompt_tokens == u32::MAX {
            // Of a prompt of unknown length nobody knows what must find room.
            return self.work(candidate) - factor * saved;
        }
        let missing = f64::from(self.prompt_tokens) - saved;
        let used = candidate.load.map_or(0.0, |load| share(load.kv_usage));
        self.work(candidate) + factor * missing / (1.0 - used).max(LEAST_ROOM)
    }

    /// What stands before a newcomer, in tokens.
    fn work(&self, candidate: &Candidate) -> f64 {
        let overload = &self.policy.overload;
        let (waiting, running) = candidate
            .load
            .map_or((0, 0), |load| (load.waiting, load.running));
        let own = &candidate.in_flight;
        // What this picker sent is mostly among what waits: the larger of the
        // two, as their sum would count one picker's requests twice.
        let prefill = (f64::from(waiting) * f64::from(overload.waiting_tokens))
            .max(own.prefill_tokens as f64);
        prefill + f64::from(running.max(own.requests)) * f64::from(overload.running_tokens)
    }
}
