//! What is recorded, and what becomes of it.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Taken {
    kind: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    result: &'static str,
}

/// Counts calls, appends and expiries. Clones share their numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct RouteMetrics {
    calls: Family<Taken, Counter>,
    queued: Gauge,
    appends: Family<Ended, Counter>,
    expiries: Family<Ended, Counter>,
}

impl RouteMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "kvatlas_scorer_routes",
            "Routes recorded and endpoints removed, by kind and by result",
            self.calls.clone(),
        );
        registry.register(
            "kvatlas_scorer_routes_queued",
            "Routes and removals that wait to be appended, or are under way",
            self.queued.clone(),
        );
        registry.register(
            "kvatlas_scorer_route_appends",
            "Attempts to append batches of routes, by result",
            self.appends.clone(),
        );
        registry.register(
            "kvatlas_scorer_route_expiries",
            "Times that the store was told to drop expired routes, by result",
            self.expiries.clone(),
        );
    }

    /// A call was answered.
    pub(crate) fn answered(&self, kind: &'static str, result: &'static str) {
        self.calls.get_or_create(&Taken { kind, result }).inc();
    }

    /// A command is queued, for as long as what is given back lives.
    pub(crate) fn queued(&self) -> Queued {
        self.queued.inc();
        Queued(self.queued.clone())
    }

    /// A batch was appended, or not.
    pub(crate) fn appended(&self, result: &'static str) {
        self.appends.get_or_create(&Ended { result }).inc();
    }

    /// The store was told to drop what has expired.
    pub(crate) fn expired(&self, result: &'static str) {
        self.expiries.get_or_create(&Ended { result }).inc();
    }
}

/// One command that is not done yet.
#[derive(Debug)]
pub(crate) struct Queued(Gauge);

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.dec();
    }
}
