//! The scorers that a picker asks: several addresses, one answer in time.
//!
//! A scorer that fails or keeps silent is left out for a growing pause and looked
//! after meanwhile, so that requests do not pay for finding out. Answers come from
//! whoever is fresh and least busy; where one is slow, a bounded share of requests
//! goes to a second one too.

mod breaker;
mod call;
mod error;
mod hedging;
mod latency;
mod node;
mod options;
mod pool;
mod recorder;
mod stats;

pub use error::ScoreError;
pub use options::ScorersOptions;
pub use stats::{Count, ScorerStats};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto_api::v1;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use call::Call;
use hedging::Hedging;
use latency::Latency;
use pool::Pool;
use recorder::Waiting;

/// How long one attempt to remove an endpoint may take.
const REMOVAL_ATTEMPT: Duration = Duration::from_secs(5);

/// The pause between two attempts.
const REMOVAL_PAUSE: Duration = Duration::from_millis(500);

/// The scorers of one picker.
#[derive(Debug)]
pub struct Scorers {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Waiting>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// An answer, and how it came about.
#[derive(Debug)]
pub struct Scored {
    /// What the scorer says.
    pub response: v1::ScoreResponse,
    /// Which one.
    pub scorer: SocketAddr,
    /// How long it took, with everything that went wrong before.
    pub took: Duration,
}

#[derive(Debug)]
struct Shared {
    pool: Pool,
    hedging: Hedging,
    latency: Latency,
    in_flight: Semaphore,
    in_flight_max: usize,
    max_age: Duration,
    stats: ScorerStats,
}

impl Scorers {
    /// Begins to follow the addresses. Connections are made when they are needed.
    #[must_use]
    pub fn start(options: ScorersOptions) -> Self {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            pool: Pool::new(&options),
            hedging: Hedging::new(options.hedge_share),
            latency: Latency::default(),
            in_flight: Semaphore::new(options.in_flight),
            in_flight_max: options.in_flight,
            max_age: options.max_age,
            stats: ScorerStats::default(),
        });
        let tasks = TaskTracker::new();
        let (queue, waiting) = mpsc::channel(options.record_queue.max(1));
        tasks.spawn(recorder::run(
            Arc::clone(&shared),
            waiting,
            options.record_in_flight,
            stop.clone(),
        ));
        let (prober, until) = (Arc::clone(&shared), stop.clone());
        tasks.spawn(async move { prober.pool.probe(until).await });
        let (resolver, until) = (Arc::clone(&shared), stop.clone());
        tasks.spawn(async move { resolver.pool.resolve(&options, until).await });
        Self {
            shared,
            queue,
            tasks,
            stop,
        }
    }

    /// Asks, and answers before `deadline` in any case. `bytes` is the prompt's
    /// size, by which answers' durations are compared.
    ///
    /// # Errors
    /// [`ScoreError`]; the caller goes on without scores.
    pub async fn score(
        &self,
        request: v1::ScoreRequest,
        bytes: usize,
        deadline: Instant,
    ) -> Result<Scored, ScoreError> {
        let Ok(_permit) = self.shared.in_flight.try_acquire() else {
            return Err(ScoreError::Busy(self.shared.in_flight_max));
        };
        Call::new(&self.shared, request, bytes, deadline)
            .answer()
            .await
    }

    /// Has a route recorded by some scorer, soon. Never waits.
    pub fn record(&self, request: v1::RecordRouteRequest) {
        let waiting = Waiting {
            request,
            since: Instant::now(),
        };
        if self.queue.try_send(waiting).is_err() {
            self.shared.stats.records_lost.inc();
        }
    }

    /// Has an endpoint's memberships removed, trying until `deadline`.
    ///
    /// # Errors
    /// The last scorer's failure.
    pub async fn remove_endpoint(
        &self,
        request: v1::RemoveEndpointRequest,
        deadline: Instant,
    ) -> Result<(), ScoreError> {
        let mut last = ScoreError::NoScorer;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            if let Some(node) = self.shared.pool.choose(&[]) {
                let patience = left.min(REMOVAL_ATTEMPT);
                let Err(failure) = node.remove_endpoint(request.clone(), patience).await else {
                    return Ok(());
                };
                last = ScoreError::Failed {
                    scorer: node.address.to_string(),
                    failure,
                };
                if !last.retryable() {
                    return Err(last);
                }
            }
            tokio::time::sleep(REMOVAL_PAUSE.min(left)).await;
        }
        Err(last)
    }

    /// What has happened so far.
    #[must_use]
    pub fn stats(&self) -> &ScorerStats {
        &self.shared.stats
    }

    /// Scorers known, and how many of them get requests.
    #[must_use]
    pub fn known_and_asked(&self) -> (usize, usize) {
        let nodes = self.shared.pool.nodes();
        (
            nodes.len(),
            nodes.iter().filter(|node| node.is_in()).count(),
        )
    }

    /// Ends everything that runs in the background. Routes that still wait are lost.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Scorers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
