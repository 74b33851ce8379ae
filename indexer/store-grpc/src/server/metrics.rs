//! What the server counts; the names are listed in `docs/api.md`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// All metrics of a server. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct ServerMetrics {
    appends: Family<ResultLabel, Counter>,
    pub(super) append_bytes: Counter,
    pub(super) append_seconds: Histogram,
    pub(super) watches: Gauge,
    pub(super) watch_messages: Counter,
    pub(super) watch_bytes: Counter,
    pub(super) watches_cut_off: Counter,
}

impl Default for ServerMetrics {
    fn default() -> Self {
        Self {
            appends: Family::default(),
            append_bytes: Counter::default(),
            // 0.1 ms to 13 s.
            append_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 18)),
            watches: Gauge::default(),
            watch_messages: Counter::default(),
            watch_bytes: Counter::default(),
            watches_cut_off: Counter::default(),
        }
    }
}

impl ServerMetrics {
    pub(super) fn append_ended(&self, result: &'static str) {
        self.appends.get_or_create(&ResultLabel { result }).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("kvatlas_store_server");
        let appends = self.appends.clone();
        registry.register("appends", "Appends answered, by result", appends);
        registry.register_with_unit(
            "append",
            "Batches taken, as they came",
            Unit::Bytes,
            self.append_bytes.clone(),
        );
        registry.register_with_unit(
            "append_duration",
            "From an append read to its answer",
            Unit::Seconds,
            self.append_seconds.clone(),
        );
        registry.register("watches", "Watches open", self.watches.clone());
        registry.register(
            "watch_messages",
            "Messages sent to watches",
            self.watch_messages.clone(),
        );
        registry.register_with_unit(
            "watch",
            "Messages sent to watches, about",
            Unit::Bytes,
            self.watch_bytes.clone(),
        );
        registry.register(
            "watches_cut_off",
            "Watches ended because their readers were too slow",
            self.watches_cut_off.clone(),
        );
    }
}
