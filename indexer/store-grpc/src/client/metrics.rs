//! What the client counts; the names are listed in `docs/api.md`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// All metrics of a client. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct ClientMetrics {
    appends: Family<ResultLabel, Counter>,
    pub(super) attempts: Counter,
    pub(super) redirects: Counter,
    pub(super) append_seconds: Histogram,
    connects: Family<ResultLabel, Counter>,
    pub(super) watch_bytes: Counter,
    pub(super) snapshots: Counter,
    pub(super) lagged: Counter,
}

impl Default for ClientMetrics {
    fn default() -> Self {
        Self {
            appends: Family::default(),
            attempts: Counter::default(),
            redirects: Counter::default(),
            // 0.1 ms to 26 s.
            append_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 19)),
            connects: Family::default(),
            watch_bytes: Counter::default(),
            snapshots: Counter::default(),
            lagged: Counter::default(),
        }
    }
}

impl ClientMetrics {
    pub(super) fn append_ended(&self, result: &'static str) {
        self.appends.get_or_create(&ResultLabel { result }).inc();
    }

    pub(super) fn watch_opened(&self, result: &'static str) {
        self.connects.get_or_create(&ResultLabel { result }).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("kvatlas_store_client");
        let appends = self.appends.clone();
        registry.register("appends", "Appends ended, by result", appends);
        registry.register(
            "append_attempts",
            "Requests sent for appends",
            self.attempts.clone(),
        );
        registry.register(
            "append_redirects",
            "Leader hints followed",
            self.redirects.clone(),
        );
        registry.register_with_unit(
            "append_duration",
            "From an append to its end, with all attempts",
            Unit::Seconds,
            self.append_seconds.clone(),
        );
        registry.register(
            "watch_connects",
            "Watches opened at a node, by result",
            self.connects.clone(),
        );
        registry.register_with_unit(
            "watch",
            "Messages of watches received",
            Unit::Bytes,
            self.watch_bytes.clone(),
        );
        registry.register("watch_snapshots", "Snapshots begun", self.snapshots.clone());
        registry.register(
            "watch_lagged",
            "Watches that a node cut off as too slow",
            self.lagged.clone(),
        );
    }
}
