//! Where requests were sent, told by those who sent them.
//!
//! ```text
//!  Record ─▶ names ─▶ queue of the store ─▶ batches, two under way ─▶ append
//!                                  Expire ──────────────────────────────▲
//! ```
//! What is recorded goes through the store that the endpoint belongs to, and comes
//! back by its watch, here and at every other scorer. Nothing is kept here. Times are
//! the store's: scorers' clocks differ.

mod error;
mod expiry;
mod names;
mod queue;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use indexer_store::IndexWriter;
use proto_api::{
    Failure, InvalidRoute, RecordRoute, RemoveEndpoint, RouteClaim, RouteEndpoint, limits,
};
use proto_model::{Command, Revision, RouteKind, RouteRecorded, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::metrics::RouteMetrics;
use crate::replica::Replicas;
use crate::scorer::Scorer;
use error::RouteError;
use queue::{Queue, Work};

/// Records routes. Shared by everything that takes them.
#[derive(Debug)]
pub struct Routes {
    replicas: Replicas,
    /// The cluster that is meant where none is named.
    cluster: String,
    /// In the order of the replicas; empty where routes are refused.
    queues: Vec<Queue>,
    /// The longest that a call may take.
    deadline: Duration,
    /// How long an estimate counts after its last use.
    estimated_lifetime: Duration,
    metrics: RouteMetrics,
}

/// The work behind [`Routes`]: nothing is appended unless it runs.
pub struct RouteWriting {
    replicas: Replicas,
    stores: Vec<(Arc<dyn IndexWriter>, Work)>,
    metrics: RouteMetrics,
}

/// Keys that an endpoint's estimates may always have: all recorders share them, and
/// one that asks for fewer must not take them from the others.
const CAPACITY_MIN: u32 = 1024;

/// What is counted of a call.
const REMOVAL: &str = "removal";

impl Routes {
    /// Takes routes for the stores that the scorer's replicas follow: `writers`
    /// in the same order. `cluster` is meant where a request names none.
    #[must_use]
    pub fn new(
        scorer: &Scorer,
        cluster: String,
        writers: Vec<Arc<dyn IndexWriter>>,
    ) -> (Arc<Self>, RouteWriting) {
        let metrics = scorer.metrics().routes.clone();
        let replicas = scorer.scoring().replicas().clone();
        let (queues, work): (Vec<_>, Vec<_>) = writers
            .iter()
            .map(|_| queue::queue(metrics.clone()))
            .unzip();
        let routes = Self {
            replicas: replicas.clone(),
            cluster,
            queues,
            deadline: scorer.limits().deadline,
            estimated_lifetime: scorer.limits().estimated_lifetime,
            metrics: metrics.clone(),
        };
        let writing = RouteWriting {
            replicas,
            stores: writers.into_iter().zip(work).collect(),
            metrics,
        };
        (Arc::new(routes), writing)
    }

    /// Refuses all routes.
    #[must_use]
    pub fn refusing(scorer: &Scorer) -> Arc<Self> {
        Self::new(scorer, String::new(), Vec::new()).0
    }

    /// Records where a request was sent; answers once the store has it. Within
    /// `timeout` or the scorer's own deadline.
    pub async fn record(
        &self,
        route: Result<RecordRoute, InvalidRoute>,
        timeout: Option<Duration>,
    ) -> Result<Revision, Failure> {
        let kind = route
            .as_ref()
            .map_or("unknown", |route| route.claim.as_str());
        let recorded = match route {
            Ok(route) => self.try_record(route, timeout).await,
            Err(error) => Err(error.into()),
        };
        self.answer(kind, recorded)
    }

    /// Removes an endpoint that is gone for good; answers once the store has
    /// forgotten it.
    pub async fn remove(
        &self,
        removed: Result<RemoveEndpoint, InvalidRoute>,
        timeout: Option<Duration>,
    ) -> Result<Revision, Failure> {
        let removed = match removed {
            Ok(removed) => self.try_remove(removed, timeout).await,
            Err(error) => Err(error.into()),
        };
        self.answer(REMOVAL, removed)
    }

    fn answer(
        &self,
        kind: &'static str,
        result: Result<Revision, RouteError>,
    ) -> Result<Revision, Failure> {
        let result = result.map_err(Failure::from);
        let label = result
            .as_ref()
            .map_or_else(|failure| failure.kind.as_str(), |_| "ok");
        self.metrics.answered(kind, label);
        result
    }

    async fn try_record(
        &self,
        route: RecordRoute,
        timeout: Option<Duration>,
    ) -> Result<Revision, RouteError> {
        let store = self.store(&route.endpoint)?;
        let publisher = {
            let replica = self.replica(store);
            let content = replica.content();
            let directory = content.directory();
            let given = names::Given::new(&directory, replica, &self.cluster, &route.endpoint)?;
            given.publisher(route.rank)
        };
        let (kind, lifetime, capacity) = match route.claim {
            RouteClaim::Speculative { lifetime } => {
                (RouteKind::Speculative, lifetime, limits::ROUTE_CAPACITY)
            }
            RouteClaim::Estimated { capacity } => {
                let lifetime = self.estimated_lifetime;
                (RouteKind::Estimated, lifetime, capacity.max(CAPACITY_MIN))
            }
        };
        let micros = u64::try_from(lifetime.as_micros()).unwrap_or(u64::MAX);
        let command = Command::RouteRecorded(RouteRecorded {
            publisher,
            kind,
            recorded_at: RouteRecorded::BY_STORE,
            expires_at: Some(Timestamp(micros)),
            capacity,
            keys: route.keys,
        });
        self.append(store, command, self.until(timeout)).await
    }

    async fn try_remove(
        &self,
        removed: RemoveEndpoint,
        timeout: Option<Duration>,
    ) -> Result<Revision, RouteError> {
        let store = self.store(&removed.endpoint)?;
        let endpoints = {
            let replica = self.replica(store);
            let content = replica.content();
            let directory = content.directory();
            let given = names::Given::new(&directory, replica, &self.cluster, &removed.endpoint)?;
            given.endpoints(removed.rank)
        };
        let until = self.until(timeout);
        let rank = removed.rank;
        let appends = endpoints
            .into_iter()
            .map(|endpoint| self.append(store, Command::EndpointRemoved { endpoint, rank }, until));
        let mut last = Revision(0);
        for appended in join_all(appends).await {
            last = last.max(appended?);
        }
        Ok(last)
    }

    fn store(&self, endpoint: &RouteEndpoint) -> Result<usize, RouteError> {
        if self.queues.is_empty() {
            return Err(RouteError::Refusing);
        }
        names::store_of(&self.replicas, &self.cluster, endpoint)
    }

    fn replica(&self, store: usize) -> &crate::Replica {
        let replica = self.replicas.iter().nth(store);
        replica.unwrap_or_else(|| self.replicas.first())
    }

    async fn append(
        &self,
        store: usize,
        command: Command,
        until: Instant,
    ) -> Result<Revision, RouteError> {
        let queue = self.queues.get(store).ok_or(RouteError::Refusing)?;
        queue.append(command, until).await
    }

    fn until(&self, timeout: Option<Duration>) -> Instant {
        Instant::now() + timeout.unwrap_or(self.deadline).min(self.deadline)
    }
}

impl RouteWriting {
    /// Appends what is recorded, and says when routes expire, until `stop`. What
    /// was taken until then is appended before it returns.
    pub async fn run(self, stop: CancellationToken) {
        let stores = self.stores.into_iter().zip(self.replicas.iter());
        let each = stores.map(|((writer, work), replica)| {
            let expiring = expiry::expire(
                Arc::clone(replica),
                Arc::clone(&writer),
                self.metrics.clone(),
            );
            let stop = stop.clone();
            async move {
                let expiring = stop.clone().run_until_cancelled_owned(expiring);
                futures::join!(work.run(writer, stop), expiring);
            }
        });
        join_all(each).await;
    }
}
