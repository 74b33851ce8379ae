//! The picker's numbers, read when somebody asks for them.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use router_discovery::{Loads, PoolView, SourceStatus};
use router_ext_proc::{
    BUCKETS_US, Count, DecisionStats, FALLBACK_REASONS, Histogram, Mode, PICK_REASONS, RefusedKind,
    Scorers, StreamStats,
};
use tokio::sync::watch;

/// Everything that has numbers.
pub(super) struct EppCollector {
    pub(super) views: watch::Receiver<Arc<PoolView>>,
    pub(super) status: watch::Receiver<Arc<SourceStatus>>,
    pub(super) loads: Arc<Loads>,
    pub(super) scorers: Arc<Scorers>,
    pub(super) decisions: Arc<DecisionStats>,
    pub(super) streams: Arc<StreamStats>,
}

impl std::fmt::Debug for EppCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EppCollector").finish_non_exhaustive()
    }
}

/// Writes numbers below one prefix.
struct Writer<'a, 'e>(&'a mut DescriptorEncoder<'e>);

impl Writer<'_, '_> {
    fn count(&mut self, name: &str, help: &str, value: u64) -> std::fmt::Result {
        self.one(name, help, &ConstCounter::new(value))
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> std::fmt::Result {
        self.one(name, help, &ConstGauge::new(value))
    }

    fn one(&mut self, name: &str, help: &str, metric: &impl EncodeMetric) -> std::fmt::Result {
        let name = format!("kvatlas_epp_{name}");
        let encoder = self
            .0
            .encode_descriptor(&name, help, None, metric.metric_type())?;
        metric.encode(encoder)
    }

    fn counts<'v>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'v str, u64)>,
    ) -> std::fmt::Result {
        let name = format!("kvatlas_epp_{name}");
        let kind = MetricType::Counter;
        let mut family = self.0.encode_descriptor(&name, help, None, kind)?;
        for (value, count) in values {
            let labels = [(label, value)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn seconds(&mut self, name: &str, help: &str, histogram: &Histogram) -> std::fmt::Result {
        self.one(name, help, &Seconds(histogram))
    }
}

/// A histogram of durations, in seconds.
struct Seconds<'a>(&'a Histogram);

impl EncodeMetric for Seconds<'_> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        let counts = self.0.counts();
        let bounds = BUCKETS_US.iter().map(|micros| *micros as f64 / 1e6);
        let buckets: Vec<_> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        let sum = self.0.sum_us() as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn named<'a, const N: usize>(
    names: [&'a str; N],
    counts: &'a [Count; N],
) -> impl Iterator<Item = (&'a str, u64)> {
    names
        .into_iter()
        .zip(counts)
        .map(|(name, count)| (name, count.get()))
}

impl Collector for EppCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut writer = Writer(&mut encoder);
        self.decisions(&mut writer)?;
        self.predictions(&mut writer)?;
        self.scorers(&mut writer)?;
        self.streams(&mut writer)?;
        self.pool(&mut writer)
    }
}

impl EppCollector {
    fn decisions(&self, writer: &mut Writer<'_, '_>) -> std::fmt::Result {
        let stats = &self.decisions;
        let modes = named(Mode::ALL.map(Mode::as_str), &stats.modes);
        writer.counts(
            "decisions",
            "Requests routed, by how it was decided",
            "mode",
            modes,
        )?;
        let fallbacks = named(FALLBACK_REASONS, &stats.fallbacks);
        let help = "Requests routed by load because there were no scores, by why";
        writer.counts("fallbacks", help, "reason", fallbacks)?;
        let reasons = named(PICK_REASONS, &stats.reasons);
        let help = "Requests routed, by why the endpoint came first";
        writer.counts("picks", help, "reason", reasons)?;
        let in_flight = stats.begun.get().saturating_sub(stats.ended.get());
        writer.gauge(
            "requests_in_flight",
            "Requests routed and not over",
            in_flight,
        )?;
        let help = "Estimated: requests whose matching ratio was above the threshold";
        writer.count("prefix_routed", help, stats.prefix_routed.get())?;
        let help = "Answers in which an engine's block size differs from the policy's";
        writer.count("block_size_differs", help, stats.block_size_differs.get())?;
        let help = "Decisions that could not be recorded: the endpoint's keys are not known";
        writer.count("routes_unknown", help, stats.not_recorded.get())?;
        let help = "From the whole request to the decision";
        writer.seconds("decision_seconds", help, &stats.decision)?;
        let help = "Of that, the wait for scorers that answered";
        writer.seconds("scorer_seconds", help, &stats.scoring)
    }

    fn predictions(&self, writer: &mut Writer<'_, '_>) -> std::fmt::Result {
        let stats = &self.decisions;
        let help = "Tracking: finished requests whose engine said how much it reused";
        writer.count("predictions", help, stats.compared.get())?;
        let help = "Of those, the ones predicted to the token";
        writer.count("predictions_exact", help, stats.compared_exact.get())?;
        let help = "Cached tokens that were predicted for them";
        writer.count(
            "predicted_cached_tokens",
            help,
            stats.predicted_tokens.get(),
        )?;
        let help = "Cached tokens that their engines reported";
        writer.count("cached_tokens", help, stats.cached_tokens.get())?;
        let help = "Sum of the differences, each without its sign";
        writer.count("prediction_error_tokens", help, stats.error_tokens.get())
    }

    fn scorers(&self, writer: &mut Writer<'_, '_>) -> std::fmt::Result {
        let stats = self.scorers.stats();
        let (known, asked) = self.scorers.known_and_asked();
        writer.gauge("scorers", "Scorers known", known as u64)?;
        let help = "Of those, the ones that get requests";
        writer.gauge("scorers_asked", help, asked as u64)?;
        let outcomes = [
            (
                "scorer_requests",
                "Requests to scorers, second ones too",
                &stats.requests,
            ),
            (
                "scorer_hedges",
                "Second requests because the first was slow",
                &stats.hedges,
            ),
            (
                "scorer_hedges_won",
                "Of those, answered first",
                &stats.hedges_won,
            ),
            (
                "scorer_failovers",
                "Requests to another scorer because one failed or kept silent",
                &stats.failovers,
            ),
            (
                "scorers_left_out",
                "Times that a scorer was left out",
                &stats.left_out,
            ),
            (
                "routes_recorded",
                "Routes recorded through a scorer",
                &stats.recorded,
            ),
            (
                "routes_lost",
                "Routes that no scorer took in time",
                &stats.records_lost,
            ),
        ];
        for (name, help, count) in outcomes {
            writer.count(name, help, count.get())?;
        }
        Ok(())
    }

    fn streams(&self, writer: &mut Writer<'_, '_>) -> std::fmt::Result {
        let stats = &self.streams;
        writer.gauge(
            "streams_open",
            "Streams of gateways",
            stats.streams_open.get(),
        )?;
        let help = "Bytes held for streams: headers, hints, bodies";
        writer.gauge("buffered_bytes", help, stats.bytes_buffered.get())?;
        let refused = RefusedKind::ALL.map(|kind| (kind.label(), stats.refused(kind).get()));
        writer.counts("refused", "Requests refused, by why", "reason", refused)?;
        let counts = [
            ("streams", "Streams taken", &stats.streams),
            (
                "streams_over_limit",
                "Streams answered with 503 at once",
                &stats.streams_over_limit,
            ),
            ("routed", "Requests that got an endpoint", &stats.routed),
            (
                "decisions_late",
                "Decisions that did not come in time",
                &stats.decisions_late,
            ),
            (
                "decisions_panicked",
                "Decisions that panicked",
                &stats.panics,
            ),
            (
                "decisions_abandoned",
                "Decisions that nobody waited for",
                &stats.abandoned,
            ),
            (
                "completed",
                "Responses that passed to their last byte",
                &stats.completed,
            ),
            (
                "cancelled",
                "Routed requests that were left before the end",
                &stats.cancelled,
            ),
            (
                "unseen",
                "Routed requests whose response was not shown",
                &stats.unseen,
            ),
            ("usages", "Responses with usage", &stats.usages),
            (
                "subset_entries_ignored",
                "Entries of subset hints that could not be read",
                &stats.subset_entries_ignored,
            ),
            (
                "protocol_violations",
                "Streams ended with an error: gateways that are not set up as they must be",
                &stats.violations,
            ),
        ];
        for (name, help, count) in counts {
            writer.count(name, help, count.get())?;
        }
        Ok(())
    }

    fn pool(&self, writer: &mut Writer<'_, '_>) -> std::fmt::Result {
        let endpoints = self.views.borrow().endpoints.len() as u64;
        writer.gauge("endpoints", "Ready endpoints of the pool", endpoints)?;
        let status = Arc::clone(&self.status.borrow());
        writer.gauge(
            "pool_synced",
            "1 once everything was read",
            u64::from(status.synced),
        )?;
        let stale = u64::from(status.stale.is_some());
        writer.gauge(
            "pool_stale",
            "1 while the pool's source cannot be read",
            stale,
        )?;
        let broken = u64::from(status.last_error.is_some());
        let help = "1 while manifests have mistakes; the last good ones are in use";
        writer.gauge("manifests_broken", help, broken)?;
        writer.count(
            "manifests_applied",
            "Changes of the pool taken",
            status.applied,
        )?;
        writer.count(
            "manifests_refused",
            "Changes not taken for mistakes",
            status.refused,
        )?;
        let loads = self.loads.counters();
        let help = "Endpoints whose load is known";
        writer.gauge("loads_fresh", help, loads.fresh as u64)?;
        let help = "Endpoints whose last load is too old";
        writer.gauge("loads_stale", help, loads.stale as u64)?;
        let help = "Endpoints that have never told their load";
        writer.gauge("loads_silent", help, loads.silent as u64)?;
        writer.count(
            "scrapes",
            "Looks at engines' metrics that gave a load",
            loads.answered,
        )?;
        let help = "Looks at engines' metrics that gave none, by why";
        writer.counts("scrapes_failed", help, "reason", loads.failed)
    }
}
