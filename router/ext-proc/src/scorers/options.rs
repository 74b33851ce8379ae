//! What a picker may set about its scorers.

use std::time::Duration;

/// Addresses and bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct ScorersOptions {
    /// `host:port`; a name stands for every address that it leads to.
    pub addresses: Vec<String>,
    /// How often names are looked up again.
    pub resolve_interval: Duration,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// An answer from a scorer that has not heard its store for longer is none.
    pub max_age: Duration,
    /// Questions under way at a time; more are not asked.
    pub in_flight: usize,
    /// Second requests, sent because the first takes longer than 19 of 20, per
    /// request. 0: none.
    pub hedge_share: f64,
    /// Routes that wait to be recorded; more are dropped, and counted.
    pub record_queue: usize,
    /// Records under way at a time.
    pub record_in_flight: usize,
}

impl Default for ScorersOptions {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            resolve_interval: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(1),
            max_age: Duration::from_secs(30),
            in_flight: 1024,
            hedge_share: 0.1,
            record_queue: 4096,
            record_in_flight: 32,
        }
    }
}
