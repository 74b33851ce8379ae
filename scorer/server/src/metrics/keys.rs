//! What is remembered of prompts' engine hashes, read when somebody asks.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::scoring::{KeyCache, KeyCacheStats};

#[derive(Debug)]
pub(crate) struct KeyCacheCollector(Arc<KeyCache>);

type Number = (&'static str, &'static str, fn(&KeyCacheStats) -> u64);

const GAUGES: [Number; 3] = [
    ("chunks", "Chunks of prompts held", |stats| stats.chunks),
    ("bytes", "Memory of the chunks held", |stats| stats.bytes),
    ("capacity_bytes", "Bound on that memory", |stats| {
        stats.capacity_bytes
    }),
];

const COUNTERS: [Number; 3] = [
    ("hits", "Chunks of prompts found", |stats| stats.hits),
    ("misses", "Chunks of prompts hashed", |stats| stats.misses),
    ("evictions", "Chunks dropped to make room", |stats| {
        stats.evictions
    }),
];

impl KeyCacheCollector {
    pub(crate) fn new(cache: Arc<KeyCache>) -> Self {
        Self(cache)
    }
}

fn write(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, _): &Number,
    metric: impl EncodeMetric,
) -> std::fmt::Result {
    let name = format!("kvatlas_scorer_key_cache_{name}");
    metric.encode(encoder.encode_descriptor(&name, help, None, metric.metric_type())?)
}

impl Collector for KeyCacheCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let stats = self.0.stats();
        for number in &GAUGES {
            write(&mut encoder, number, ConstGauge::new(number.2(&stats)))?;
        }
        for number in &COUNTERS {
            write(&mut encoder, number, ConstCounter::new(number.2(&stats)))?;
        }
        Ok(())
    }
}
