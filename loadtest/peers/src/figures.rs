//! What one run of one structure gives.

use serde::{Deserialize, Serialize};

/// Figures of one child process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// After the load: lookups, one thread, nothing else going on.
    pub(crate) loaded: Stage,
    /// After the churn: the same.
    pub(crate) churned: Stage,
    /// Lookups while a writer applies churn at a fixed rate.
    pub(crate) beside: Option<Beside>,
    /// Blocks stored per second during the load.
    pub(crate) store_rate: f64,
    /// Block events per second during the churn: stores, removals, restarts.
    pub(crate) churn_rate: f64,
    /// Blocks removed per second, nothing else.
    pub(crate) remove_rate: f64,
    /// Milliseconds until a full endpoint's restart is applied: median, longest.
    pub(crate) restart_ms: [f64; 2],
    /// Answers beside the writer's leftovers, restarts and removals.
    pub(crate) ended: Exactness,
    /// Bytes allocated when everything that some endpoints held is gone again,
    /// and memberships left.
    pub(crate) ended_bytes: u64,
    pub(crate) ended_memberships: u64,
}

/// A structure at rest.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Stage {
    pub(crate) bytes: u64,
    pub(crate) memberships: u64,
    pub(crate) distinct: u64,
    pub(crate) lookup: Latency,
    /// Matching endpoints per lookup.
    pub(crate) matches: f64,
    pub(crate) exactness: Exactness,
}

/// Nanoseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) mean: f64,
    pub(crate) lookups: u64,
}

/// A reader beside a writer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Beside {
    pub(crate) lookup: Latency,
    /// Block events per second that the writer handed over meanwhile.
    pub(crate) rate: f64,
    /// Milliseconds until the last of them was applied.
    pub(crate) lag_ms: f64,
}

/// Answers compared with the naive model's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exactness {
    /// Questions.
    pub(crate) asked: u64,
    /// Those answered exactly, endpoint by endpoint.
    pub(crate) exact: u64,
    /// Endpoints that match, over all questions.
    pub(crate) endpoints: u64,
    /// Of them, endpoints given too few blocks, or left out.
    pub(crate) short: u64,
    /// Endpoints given too many blocks, or that do not match at all.
    pub(crate) long: u64,
}

impl Exactness {
    pub(crate) fn is_exact(self) -> bool {
        self.exact == self.asked
    }

    /// Adds one answer; both by endpoint.
    pub(crate) fn compare(&mut self, truth: &[(u32, u32)], answer: &[(u32, u32)]) {
        self.asked += 1;
        self.exact += u64::from(truth == answer);
        self.endpoints += truth.len() as u64;
        let blocks = |list: &[(u32, u32)], endpoint| {
            let found = list.binary_search_by_key(&endpoint, |pair| pair.0);
            found.map_or(0, |at| list[at].1)
        };
        let short = truth.iter().filter(|(e, b)| blocks(answer, *e) < *b);
        let long = answer.iter().filter(|(e, b)| blocks(truth, *e) < *b);
        self.short += short.count() as u64;
        self.long += long.count() as u64;
    }
}
