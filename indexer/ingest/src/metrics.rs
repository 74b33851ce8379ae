//! Counters and gauges; the names are listed in `docs/ingestor.md`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// A label with few possible values, all from our own source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// Counters by one label.
#[derive(Debug, Clone, Default)]
pub(crate) struct ByKind(Family<Kind, Counter>);

impl ByKind {
    pub(crate) fn add(&self, kind: &'static str, count: u64) {
        if count > 0 {
            self.0.get_or_create(&Kind { kind }).inc_by(count);
        }
    }

    #[cfg(test)]
    pub(crate) fn get(&self, kind: &'static str) -> u64 {
        self.0.get_or_create(&Kind { kind }).get()
    }
}

/// All metrics of an ingestor. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) received: Counter,
    pub(crate) received_bytes: Counter,
    pub(crate) messages: ByKind,
    pub(crate) events: ByKind,
    pub(crate) decode_errors: ByKind,
    pub(crate) unknown_fields: Counter,
    pub(crate) gaps: ByKind,
    pub(crate) restarts: ByKind,
    pub(crate) replays: ByKind,
    pub(crate) replay_messages: Counter,
    pub(crate) hash_checks: ByKind,
    pub(crate) findings: ByKind,
    pub(crate) connections: Gauge,
    pub(crate) connection_errors: ByKind,
    pub(crate) queue_messages: Gauge,
    pub(crate) queue_bytes: Gauge,
    pub(crate) queue_waits: Counter,
    pub(crate) pending_bytes: Gauge,
    pub(crate) held_bytes: Gauge,
    pub(crate) publishers: Gauge,
    pub(crate) replaying: Gauge,
    pub(crate) appends: ByKind,
    pub(crate) append_seconds: Histogram,
    pub(crate) batch_messages: Histogram,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::unregistered();
        let registry = registry.sub_registry_with_prefix("kvatlas_ingest");
        metrics.register_input(registry);
        metrics.register_order(registry);
        metrics.register_output(registry);
        metrics
    }

    fn unregistered() -> Self {
        Self {
            received: Counter::default(),
            received_bytes: Counter::default(),
            messages: ByKind::default(),
            events: ByKind::default(),
            decode_errors: ByKind::default(),
            unknown_fields: Counter::default(),
            gaps: ByKind::default(),
            restarts: ByKind::default(),
            replays: ByKind::default(),
            replay_messages: Counter::default(),
            hash_checks: ByKind::default(),
            findings: ByKind::default(),
            connections: Gauge::default(),
            connection_errors: ByKind::default(),
            queue_messages: Gauge::default(),
            queue_bytes: Gauge::default(),
            queue_waits: Counter::default(),
            pending_bytes: Gauge::default(),
            held_bytes: Gauge::default(),
            publishers: Gauge::default(),
            replaying: Gauge::default(),
            appends: ByKind::default(),
            append_seconds: Histogram::new(exponential_buckets(0.0001, 2.0, 17)),
            batch_messages: Histogram::new(exponential_buckets(1.0, 2.0, 13)),
        }
    }

    fn register_input(&self, registry: &mut Registry) {
        registry.register(
            "received",
            "Live messages read from sockets",
            self.received.clone(),
        );
        registry.register_with_unit(
            "received",
            "Payload of live messages read from sockets",
            Unit::Bytes,
            self.received_bytes.clone(),
        );
        registry.register(
            "events",
            "Engine events by kind or fate",
            self.events.0.clone(),
        );
        registry.register(
            "decode_errors",
            "Messages and events that could not be read, by cause",
            self.decode_errors.0.clone(),
        );
        registry.register(
            "unknown_fields",
            "Fields of events that this version does not know",
            self.unknown_fields.clone(),
        );
        registry.register(
            "connections",
            "Open connections to engines",
            self.connections.clone(),
        );
        registry.register(
            "connection_errors",
            "Connections that failed or were cut off, by cause",
            self.connection_errors.0.clone(),
        );
        registry.register(
            "queue_messages",
            "Messages between sockets and sequencers",
            self.queue_messages.clone(),
        );
        registry.register_with_unit(
            "queue",
            "Payload between sockets and sequencers",
            Unit::Bytes,
            self.queue_bytes.clone(),
        );
        registry.register(
            "queue_waits",
            "Times that a socket was not read because the queue was full",
            self.queue_waits.clone(),
        );
    }

    fn register_order(&self, registry: &mut Registry) {
        registry.register(
            "messages",
            "Messages by what became of them",
            self.messages.0.clone(),
        );
        registry.register(
            "gaps",
            "Missing messages: found, or given up",
            self.gaps.0.clone(),
        );
        registry.register(
            "restarts",
            "Engine restarts by who noticed",
            self.restarts.0.clone(),
        );
        registry.register("replays", "Replays by result", self.replays.0.clone());
        registry.register(
            "replay_messages",
            "Messages that replays brought",
            self.replay_messages.clone(),
        );
        registry.register(
            "hash_checks",
            "Blocks by hash check",
            self.hash_checks.0.clone(),
        );
        registry.register("findings", "New findings by kind", self.findings.0.clone());
        registry.register("publishers", "Publishers known", self.publishers.clone());
        registry.register(
            "replaying",
            "Replays wanted or under way",
            self.replaying.clone(),
        );
        registry.register_with_unit(
            "held",
            "Messages held back while replays run (estimate)",
            Unit::Bytes,
            self.held_bytes.clone(),
        );
    }

    fn register_output(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "pending",
            "Messages that wait to be appended (estimate)",
            Unit::Bytes,
            self.pending_bytes.clone(),
        );
        registry.register("appends", "Appends by result", self.appends.0.clone());
        registry.register_with_unit(
            "append",
            "Time until the store acknowledged a batch",
            Unit::Seconds,
            self.append_seconds.clone(),
        );
        registry.register(
            "batch_messages",
            "Messages per appended batch",
            self.batch_messages.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics.messages.add("applied", 2);
        assert_eq!(metrics.messages.get("applied"), 2);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "kvatlas_ingest_received_total 0",
            "kvatlas_ingest_received_bytes_total 0",
            "kvatlas_ingest_messages_total{kind=\"applied\"} 2",
            "kvatlas_ingest_queue_bytes 0",
            "kvatlas_ingest_append_seconds_count 0",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }
}
