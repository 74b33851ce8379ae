//! Counters and gauges; the names are listed in `docs/store-redis.md`.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::epoch::{Began, Opened};

/// All metrics of a store on Redis. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) append_seconds: Histogram,
    pub(crate) append_errors: Counter,
    pub(crate) conflicts: Counter,
    group_batches: Histogram,
    stream_bytes: Gauge,
    epochs: Counter,
    pub(crate) loads: Counter,
    pub(crate) follow_errors: Counter,
    pub(crate) followed_batches: Counter,
    pub(crate) revision: Gauge,
    pub(crate) confirmed_seconds: Gauge<f64, AtomicU64>,
    pub(crate) checkpoints: Counter,
    pub(crate) checkpoint_errors: Counter,
    pub(crate) checkpoint_bytes: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            append_seconds: Histogram::new(exponential_buckets(0.0005, 2.0, 15)),
            append_errors: Counter::default(),
            conflicts: Counter::default(),
            group_batches: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            stream_bytes: Gauge::default(),
            epochs: Counter::default(),
            loads: Counter::default(),
            follow_errors: Counter::default(),
            followed_batches: Counter::default(),
            revision: Gauge::default(),
            confirmed_seconds: Gauge::default(),
            checkpoints: Counter::default(),
            checkpoint_errors: Counter::default(),
            checkpoint_bytes: Gauge::default(),
        }
    }
}

impl Metrics {
    /// A group of `batches` was committed.
    pub(crate) fn group(&self, batches: usize, committed: usize) {
        if committed > 0 {
            self.group_batches.observe(batches as f64);
        }
    }

    /// The history was taken up, which may have begun something.
    pub(crate) fn opened(&self, opened: &Opened) {
        if opened.began != Began::Nothing {
            self.epochs.inc();
        }
    }

    /// The stream stands at `total` bytes, of which a checkpoint holds some.
    pub(crate) fn stream(&self, total: u64, checkpoint_total: u64) {
        set(&self.stream_bytes, total.saturating_sub(checkpoint_total));
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let r = registry.sub_registry_with_prefix("kvatlas_store_redis");
        let seconds = || Unit::Seconds;
        r.register_with_unit(
            "append",
            "Time of an append, retries included",
            seconds(),
            self.append_seconds.clone(),
        );
        r.register(
            "append_errors",
            "Appends that were refused or not known to be committed",
            self.append_errors.clone(),
        );
        r.register(
            "append_conflicts",
            "Groups judged again because another writer was faster",
            self.conflicts.clone(),
        );
        r.register(
            "group_batches",
            "Batches committed together",
            self.group_batches.clone(),
        );
        r.register(
            "stream_bytes",
            "Bytes of batches beyond the last checkpoint",
            self.stream_bytes.clone(),
        );
        r.register(
            "epochs",
            "Times that Redis was found empty, or other than it had been",
            self.epochs.clone(),
        );
        r.register(
            "loads",
            "Times that the follower loaded the whole index",
            self.loads.clone(),
        );
        r.register(
            "follow_errors",
            "Times that the follower lost Redis or its place",
            self.follow_errors.clone(),
        );
        r.register(
            "followed_batches",
            "Batches that the follower applied",
            self.followed_batches.clone(),
        );
        r.register(
            "revision",
            "Where the follower stands",
            self.revision.clone(),
        );
        r.register_with_unit(
            "confirmed",
            "Unix time at which the follower last knew that it has everything",
            seconds(),
            self.confirmed_seconds.clone(),
        );
        r.register(
            "checkpoints",
            "Checkpoints written by this process",
            self.checkpoints.clone(),
        );
        r.register(
            "checkpoint_errors",
            "Checkpoints begun and given up by this process",
            self.checkpoint_errors.clone(),
        );
        r.register(
            "checkpoint_bytes",
            "Size of the last checkpoint written by this process",
            self.checkpoint_bytes.clone(),
        );
    }
}

/// Sets a gauge to a count.
pub(crate) fn set(gauge: &Gauge, count: u64) {
    gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
}
