//! What the router has sent to each engine and not seen finished, as
//! `router/ext-proc` keeps it.

use std::collections::VecDeque;
use std::time::Duration;

use router_picker::InFlight;

/// Moments of sending that are remembered per endpoint.
const RECENT: usize = 1_024;

/// For so long.
const RECENT_AGE: Duration = Duration::from_secs(10);

/// One engine's book.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    requests: u32,
    prefill_tokens: u64,
    recent: VecDeque<Duration>,
}

impl Book {
    pub(crate) fn sent(&mut self, now: Duration, prefill_tokens: u64) {
        self.requests += 1;
        self.prefill_tokens += prefill_tokens;
        let old = |at: &Duration| now.saturating_sub(*at) > RECENT_AGE;
        while self.recent.len() >= RECENT || self.recent.front().is_some_and(old) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
    }

    pub(crate) fn first_token(&mut self, prefill_tokens: u64) {
        self.prefill_tokens -= prefill_tokens;
    }

    pub(crate) fn finished(&mut self) {
        self.requests -= 1;
    }

    pub(crate) fn in_flight(&self, sampled_at: Duration) -> InFlight {
        let before = self.recent.partition_point(|at| *at <= sampled_at);
        let since = u32::try_from(self.recent.len() - before).unwrap_or(u32::MAX);
        InFlight {
            requests: self.requests,
            prefill_tokens: self.prefill_tokens,
            since_scrape: since.min(self.requests),
        }
    }
}
