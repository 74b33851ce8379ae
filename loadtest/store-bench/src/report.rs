//! The figures, as they are written to JSON.

use serde::Serialize;

use crate::deployment::Kind;

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// What it was measured on.
    pub(crate) machine: String,
    /// Simulated engines.
    pub(crate) engines: usize,
    pub(crate) stores: Vec<StoreReport>,
}

/// One store.
#[derive(Debug, Serialize)]
pub(crate) struct StoreReport {
    pub(crate) store: Kind,
    /// What went wrong; the parts after it are missing.
    pub(crate) failed: Option<String>,
    pub(crate) throughput: Option<Throughput>,
    pub(crate) freshness: Option<Freshness>,
    pub(crate) direct: Option<Direct>,
    pub(crate) disk: Option<Disk>,
    pub(crate) cold_start: Option<ColdStart>,
}

impl StoreReport {
    pub(crate) fn new(store: Kind) -> Self {
        Self {
            store,
            failed: None,
            throughput: None,
            freshness: None,
            direct: None,
            disk: None,
            cold_start: None,
        }
    }
}

/// From ZeroMQ into a scorer, as fast as events are taken, until the scorer has
/// the last one.
#[derive(Debug, Serialize)]
pub(crate) struct Throughput {
    pub(crate) block_events: u64,
    pub(crate) seconds: f64,
    /// Of `seconds`, those after the last message was sent.
    pub(crate) drain_seconds: f64,
    pub(crate) events_per_second: f64,
    /// The rate divided by the embedded store's in the same run.
    pub(crate) of_embedded: Option<f64>,
    pub(crate) processes: Vec<ProcessUse>,
}

/// What a process used while so many events passed.
#[derive(Debug, Serialize)]
pub(crate) struct ProcessUse {
    pub(crate) process: String,
    pub(crate) processor_seconds_per_million: f64,
    /// Share of one core.
    pub(crate) processor_share: f64,
    pub(crate) resident_bytes: u64,
}

/// Message sent until a scorer's answer counts it, at a rate.
#[derive(Debug, Serialize)]
pub(crate) struct Freshness {
    pub(crate) events_per_second: f64,
    pub(crate) messages: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
    /// Half of the time between two looks: what looking adds.
    pub(crate) look_p50_ms: f64,
}

/// Batches appended through the store's own service, no engines.
#[derive(Debug, Serialize)]
pub(crate) struct Direct {
    pub(crate) events_per_batch: usize,
    pub(crate) writers: usize,
    pub(crate) batches: u64,
    pub(crate) events_per_second: f64,
    pub(crate) append_p50_ms: f64,
    pub(crate) append_p99_ms: f64,
    pub(crate) processes: Vec<ProcessUse>,
}

/// A scorer that starts over a full store.
#[derive(Debug, Serialize)]
pub(crate) struct ColdStart {
    pub(crate) memberships: u64,
    /// Process started until `/readyz` says 200.
    pub(crate) ready_seconds: f64,
    pub(crate) peak_bytes: u64,
    /// From the store to the scorer; none where there is no wire.
    pub(crate) wire_bytes: Option<u64>,
}

/// What churn leaves on the disk.
#[derive(Debug, Serialize)]
pub(crate) struct Disk {
    pub(crate) memberships: u64,
    pub(crate) curve: Vec<DiskSample>,
    pub(crate) restarts: Vec<Restart>,
}

#[derive(Debug, Serialize)]
pub(crate) struct DiskSample {
    pub(crate) block_events: u64,
    pub(crate) seconds: f64,
    /// By process, in the order of `restarts`.
    pub(crate) bytes: Vec<u64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Restart {
    pub(crate) process: String,
    pub(crate) bytes: u64,
    pub(crate) bytes_per_membership: f64,
    /// After SIGTERM, then after SIGKILL: started until ready.
    pub(crate) ready_seconds: [f64; 2],
}
