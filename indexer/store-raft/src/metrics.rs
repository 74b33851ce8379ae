//! What a node counts.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use indexer_store::{AppendError, Appended};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::node::Node;

/// Calls to other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(missing_docs, reason = "the names are the wire's")]
pub(crate) enum Rpc {
    Append,
    Vote,
    Snapshot,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RpcLabel {
    rpc: Rpc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Outcome {
    Appended,
    NotLeader,
    Unavailable,
    TooLarge,
    Closed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: Outcome,
}

/// Counted as it happens. What can be read off at any time is not here, but in
/// [`register`].
#[derive(Debug)]
pub(crate) struct Metrics {
    appends: Family<OutcomeLabel, Counter>,
    append_seconds: Histogram,
    commit_seconds: Histogram,
    group_batches: Histogram,
    group_bytes: Histogram,
    in_flight: Gauge<u64, AtomicU64>,
    rpc_errors: Family<RpcLabel, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_25, 2.0, 17));
        Self {
            appends: Family::default(),
            append_seconds: seconds(),
            commit_seconds: seconds(),
            group_batches: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            group_bytes: Histogram::new(exponential_buckets(256.0, 4.0, 10)),
            in_flight: Gauge::default(),
            rpc_errors: Family::default(),
        }
    }
}

impl Metrics {
    pub(crate) fn appended(&self, result: &Result<Appended, AppendError>, took: Duration) {
        let outcome = match result {
            Ok(_) => Outcome::Appended,
            Err(AppendError::NotLeader { .. }) => Outcome::NotLeader,
            Err(AppendError::Unavailable { .. }) => Outcome::Unavailable,
            Err(AppendError::TooLarge { .. }) => Outcome::TooLarge,
            Err(AppendError::Closed { .. }) => Outcome::Closed,
        };
        self.appends.get_or_create(&OutcomeLabel { outcome }).inc();
        if outcome == Outcome::Appended {
            self.append_seconds.observe(took.as_secs_f64());
        }
    }

    pub(crate) fn group(&self, batches: usize, bytes: usize) {
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
        let (batches, bytes) = (batches as f64, bytes as f64);
        self.group_batches.observe(batches);
        self.group_bytes.observe(bytes);
    }

    pub(crate) fn committed(&self, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn in_flight(&self, entries: usize) {
        self.in_flight.set(entries as u64);
    }

    pub(crate) fn rpc_failed(&self, rpc: Rpc) {
        self.rpc_errors.get_or_create(&RpcLabel { rpc }).inc();
    }
}

/// Adds everything that a node counts.
pub(crate) fn register(node: &Arc<Node>, registry: &mut Registry) {
    let registry = registry.sub_registry_with_prefix("kvatlas_store_raft");
    let counted = &node.metrics;
    registry.register(
        "appends",
        "Appends, by what became of them",
        counted.appends.clone(),
    );
    registry.register(
        "append_seconds",
        "From an append to its being committed and applied",
        counted.append_seconds.clone(),
    );
    registry.register(
        "commit_seconds",
        "From the proposal of a log entry to its being applied here",
        counted.commit_seconds.clone(),
    );
    registry.register(
        "group_batches",
        "Batches in one log entry",
        counted.group_batches.clone(),
    );
    registry.register(
        "group_bytes",
        "Bytes of batches in one log entry",
        counted.group_bytes.clone(),
    );
    registry.register(
        "entries_in_flight",
        "Log entries proposed and not yet applied",
        counted.in_flight.clone(),
    );
    registry.register(
        "rpc_errors",
        "Calls to other nodes that failed",
        counted.rpc_errors.clone(),
    );
    registry.register_collector(Box::new(Standings(Arc::clone(node))));
}

/// What is read off when it is asked for.
struct Standings(Arc<Node>);

impl fmt::Debug for Standings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Standings").finish_non_exhaustive()
    }
}

impl Collector for Standings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let status = self.0.status();
        let disk = self.0.disk.stats();
        let leads = u64::from(status.role == crate::status::Role::Leader);
        let removed = u64::from(status.role == crate::status::Role::Removed);
        let values = [
            ("leader", "1 while this node leads", Some(leads)),
            (
                "removed",
                "1 once this node is no member any more",
                Some(removed),
            ),
            (
                "ready",
                "1 while readers are served",
                Some(u64::from(status.ready)),
            ),
            ("term", "Raft's term", Some(status.term)),
            ("leader_id", "The leader's number", status.leader_id),
            (
                "last_log_index",
                "The last entry in the log",
                status.last_log,
            ),
            (
                "commit_index",
                "The last entry known to be committed",
                status.committed,
            ),
            (
                "applied_index",
                "The last entry in the state",
                status.applied,
            ),
            (
                "snapshot_index",
                "The last entry in the snapshot",
                status.snapshot,
            ),
            ("revision", "The position of the state", status.revision),
            (
                "head_age_ms",
                "Since the state was the cluster's for certain",
                status.age_ms,
            ),
            ("log_bytes", "The log", Some(disk.log_bytes)),
            ("log_entries", "Entries in the log", Some(disk.log_entries)),
            ("snapshot_bytes", "The snapshot", Some(disk.snapshot_bytes)),
            ("disk_bytes", "The directory", Some(status.disk_bytes)),
        ];
        for (name, help, value) in values {
            let Some(value) = value else {
                continue;
            };
            let gauge = ConstGauge::new(value);
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}
