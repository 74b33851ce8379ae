//! What the models remember of texts, read when somebody asks.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use scorer_prompt::{TokenCache, TokenCacheStats};

#[derive(Debug)]
pub(crate) struct TokenCacheCollector(Arc<TokenCache>);

type Number = (&'static str, &'static str, fn(&TokenCacheStats) -> u64);

const GAUGES: [Number; 3] = [
    ("pieces", "Pieces of text held", |stats| stats.pieces),
    ("bytes", "Memory of the pieces held", |stats| stats.bytes),
    ("capacity_bytes", "Bound on that memory", |stats| {
        stats.capacity_bytes
    }),
];

const COUNTERS: [Number; 4] = [
    ("hits", "Pieces of prompts found", |stats| stats.hits),
    ("misses", "Pieces of prompts tokenised", |stats| {
        stats.misses
    }),
    ("evictions", "Pieces dropped to make room", |stats| {
        stats.evictions
    }),
    (
        "bypassed",
        "Prompts of models whose tokenizer has no pieces that can be reused",
        |stats| stats.bypassed,
    ),
];

impl TokenCacheCollector {
    pub(crate) fn new(cache: Arc<TokenCache>) -> Self {
        Self(cache)
    }
}

fn write(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, _): &Number,
    metric: impl EncodeMetric,
) -> std::fmt::Result {
    let name = format!("kvatlas_scorer_token_cache_{name}");
    metric.encode(encoder.encode_descriptor(&name, help, None, metric.metric_type())?)
}

impl Collector for TokenCacheCollector {
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
