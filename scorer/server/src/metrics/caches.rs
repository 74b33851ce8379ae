//! What caches count themselves, read when somebody asks.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use scorer_prompt::{TokenCache, TokenCacheStats};

use crate::scoring::{KeyCache, KeyCacheStats};

/// A cache that counts. Its numbers stand under `kvatlas_scorer_`, its own name
/// and theirs.
pub(crate) trait Counting: fmt::Debug + Send + Sync + 'static {
    /// All its numbers, of one moment.
    type Stats: 'static;
    const NAME: &'static str;
    const GAUGES: &'static [Number<Self::Stats>];
    const COUNTERS: &'static [Number<Self::Stats>];

    fn stats(&self) -> Self::Stats;
}

/// One number: its name, what it tells, and where it comes from.
pub(crate) type Number<S> = (&'static str, &'static str, fn(&S) -> u64);

/// Tells a cache's numbers.
#[derive(Debug)]
pub(crate) struct CacheCollector<C>(Arc<C>);

impl<C: Counting> CacheCollector<C> {
    pub(crate) fn new(cache: &Arc<C>) -> Self {
        Self(Arc::clone(cache))
    }

    fn write(
        encoder: &mut DescriptorEncoder<'_>,
        (name, help, _): &Number<C::Stats>,
        metric: impl EncodeMetric,
    ) -> fmt::Result {
        let name = format!("kvatlas_scorer_{}_{name}", C::NAME);
        metric.encode(encoder.encode_descriptor(&name, help, None, metric.metric_type())?)
    }
}

impl<C: Counting> Collector for CacheCollector<C> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats();
        for number in C::GAUGES {
            Self::write(&mut encoder, number, ConstGauge::new(number.2(&stats)))?;
        }
        for number in C::COUNTERS {
            Self::write(&mut encoder, number, ConstCounter::new(number.2(&stats)))?;
        }
        Ok(())
    }
}

impl Counting for KeyCache {
    type Stats = KeyCacheStats;
    const NAME: &'static str = "key_cache";
    const GAUGES: &'static [Number<KeyCacheStats>] = &[
        ("chunks", "Chunks of prompts held", |stats| stats.chunks),
        ("bytes", "Memory of the chunks held", |stats| stats.bytes),
        ("capacity_bytes", "Bound on that memory", |stats| {
            stats.capacity_bytes
        }),
    ];
    const COUNTERS: &'static [Number<KeyCacheStats>] = &[
        ("hits", "Chunks of prompts found", |stats| stats.hits),
        ("misses", "Chunks of prompts hashed", |stats| stats.misses),
        ("evictions", "Chunks dropped to make room", |stats| {
            stats.evictions
        }),
    ];

    fn stats(&self) -> KeyCacheStats {
        Self::stats(self)
    }
}

impl Counting for TokenCache {
    type Stats = TokenCacheStats;
    const NAME: &'static str = "token_cache";
    const GAUGES: &'static [Number<TokenCacheStats>] = &[
        ("pieces", "Pieces of text held", |stats| stats.pieces),
        ("bytes", "Memory of the pieces held", |stats| stats.bytes),
        ("capacity_bytes", "Bound on that memory", |stats| {
            stats.capacity_bytes
        }),
    ];
    const COUNTERS: &'static [Number<TokenCacheStats>] = &[
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

    fn stats(&self) -> TokenCacheStats {
        Self::stats(self)
    }
}
