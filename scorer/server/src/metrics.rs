//! The scorer's metrics. Labels are bounded: no names of models, endpoints or
//! callers.

mod caches;
mod collector;
mod routes;

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::replica::Replicas;
use crate::scoring::{Outcome, Row};
pub(crate) use caches::CacheCollector;
use collector::ReplicaCollector;
pub(crate) use routes::{Queued, RouteMetrics};

/// From 50 microseconds, the cost of a short lookup, to 10 seconds.
const LATENCY_SECONDS: [f64; 14] = [
    5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0,
];

/// Prompt lengths, by factors of four.
const PROMPT_TOKENS: [f64; 8] = [
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
];

/// Shares of a prompt.
const RATIO: [f64; 11] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// Which way a query came; the label `rpc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rpc {
    /// `kvatlas.v1.Scorer/Score`.
    Score,
    /// One request of `kvatlas.v1.Scorer/ScoreStream`.
    ScoreStream,
    /// llm-d's `GetPodScores`.
    GetPodScores,
    /// `POST /v1/score`.
    HttpScore,
    /// `POST /query`.
    HttpQuery,
    /// `POST /query_by_hash`.
    HttpQueryByHash,
}

impl Rpc {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::ScoreStream => "score_stream",
            Self::GetPodScores => "get_pod_scores",
            Self::HttpScore => "http_score",
            Self::HttpQuery => "http_query",
            Self::HttpQueryByHash => "http_query_by_hash",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    rpc: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    rpc: &'static str,
}

/// Counts and times queries. Clones share their numbers.
#[derive(Debug, Clone)]
pub struct ScorerMetrics {
    requests: Family<Answered, Counter>,
    seconds: Family<Asked, Histogram, fn() -> Histogram>,
    prompt_tokens: Histogram,
    matched_ratio: Histogram,
    in_flight: Gauge,
    panics: Counter,
    pub(crate) routes: RouteMetrics,
}

impl Default for ScorerMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(LATENCY_SECONDS)),
            prompt_tokens: Histogram::new(PROMPT_TOKENS),
            matched_ratio: Histogram::new(RATIO),
            in_flight: Gauge::default(),
            panics: Counter::default(),
            routes: RouteMetrics::default(),
        }
    }
}

impl ScorerMetrics {
    /// Adds these and the replicas' own to a registry, under `kvatlas_scorer_`.
    pub fn register(&self, registry: &mut Registry, replicas: impl Into<Replicas>) {
        registry.register(
            "kvatlas_scorer_requests",
            "Queries answered, by way and by result",
            self.requests.clone(),
        );
        registry.register(
            "kvatlas_scorer_request_seconds",
            "Time from a query's admission to its answer",
            self.seconds.clone(),
        );
        registry.register(
            "kvatlas_scorer_prompt_tokens",
            "Tokens of the prompts asked about",
            self.prompt_tokens.clone(),
        );
        registry.register(
            "kvatlas_scorer_matched_ratio",
            "Share of each prompt that its best endpoint need not compute",
            self.matched_ratio.clone(),
        );
        registry.register(
            "kvatlas_scorer_in_flight",
            "Queries being answered",
            self.in_flight.clone(),
        );
        registry.register(
            "kvatlas_scorer_panics",
            "Questions that ended in a panic, which is a fault of this program",
            self.panics.clone(),
        );
        self.routes.register(registry);
        registry.register_collector(Box::new(ReplicaCollector::new(replicas.into())));
    }

    pub(crate) fn began(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// A question ended in a panic.
    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    pub(crate) fn answered(&self, rpc: Rpc, result: &'static str, elapsed: Duration) {
        let rpc = rpc.as_str();
        self.requests.get_or_create(&Answered { rpc, result }).inc();
        self.seconds
            .get_or_create(&Asked { rpc })
            .observe(elapsed.as_secs_f64());
    }

    pub(crate) fn matched(&self, outcome: &Outcome) {
        let Some(tokens) = outcome.prompt_tokens.filter(|tokens| *tokens > 0) else {
            return;
        };
        self.prompt_tokens.observe(f64::from(tokens));
        let best = outcome
            .rows
            .iter()
            .map(Row::reusable_tokens)
            .max()
            .unwrap_or(0);
        self.matched_ratio
            .observe(f64::from(best) / f64::from(tokens));
    }
}

/// One query in flight, for as long as it lives.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
