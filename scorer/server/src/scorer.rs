//! Scoring for many callers: admission, threads, deadlines, metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proto_api::{Failure, Input, ScoreQuery};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug_span};

use crate::metrics::{Rpc, ScorerMetrics};
use crate::scoring::{Outcome, ScoreError, Scoring};

/// Bounds on what is done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScorerLimits {
    /// Queries in flight; one more is refused, so that a flood is answered at
    /// once by "busy" and never by silence.
    pub in_flight: usize,
    /// Prompts being tokenised at a time; more wait their turn. About the number
    /// of cores.
    pub tokenizing: usize,
    /// Open streams, of scores and of changes.
    pub streams: usize,
    /// Queries of one stream that are worked on at a time.
    pub per_stream: usize,
    /// The longest that a query without a deadline of its own may take.
    pub deadline: Duration,
    /// How long an estimated route counts after its last use; speculative ones name
    /// their own lifetime.
    pub estimated_lifetime: Duration,
}

impl Default for ScorerLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        Self {
            in_flight: 1024,
            tokenizing: cores,
            streams: 256,
            per_stream: 32,
            deadline: Duration::from_secs(10),
            estimated_lifetime: Duration::from_secs(3600),
        }
    }
}

/// Longest list of tokens or keys that is worth no thread of its own: about a
/// millisecond of hashing.
const INLINE_LENGTH: usize = 16 * 1024;

/// Answers queries, whatever way they come.
#[derive(Debug)]
pub struct Scorer {
    scoring: Arc<Scoring>,
    limits: ScorerLimits,
    in_flight: Semaphore,
    tokenizing: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    leaving: CancellationToken,
    metrics: ScorerMetrics,
}

impl Scorer {
    /// A scorer with its own admission.
    #[must_use]
    pub fn new(scoring: Scoring, limits: ScorerLimits, metrics: ScorerMetrics) -> Arc<Self> {
        Arc::new(Self {
            scoring: Arc::new(scoring),
            in_flight: Semaphore::new(limits.in_flight),
            tokenizing: Arc::new(Semaphore::new(limits.tokenizing)),
            streams: Arc::new(Semaphore::new(limits.streams)),
            leaving: CancellationToken::new(),
            limits,
            metrics,
        })
    }

    /// What it answers from.
    #[must_use]
    pub fn scoring(&self) -> &Scoring {
        &self.scoring
    }

    /// Its bounds.
    #[must_use]
    pub fn limits(&self) -> &ScorerLimits {
        &self.limits
    }

    pub(crate) fn metrics(&self) -> &ScorerMetrics {
        &self.metrics
    }

    /// Has gRPC health say from now on that others should be asked. Queries are
    /// answered all the same: callers learn of it with a delay.
    pub fn turn_away(&self) {
        self.leaving.cancel();
    }

    /// Returns once [`turn_away`](Self::turn_away) was called.
    pub(crate) async fn leaving(&self) {
        self.leaving.cancelled().await;
    }

    /// Answers one query, within `timeout` or the scorer's own deadline.
    pub async fn score(
        &self,
        rpc: Rpc,
        query: Result<ScoreQuery, ScoreError>,
        timeout: Option<Duration>,
    ) -> Result<Outcome, Failure> {
        let start = Instant::now();
        let own = self.limits.deadline;
        let late = match timeout {
            Some(timeout) if timeout <= own => ScoreError::DeadlineExceeded,
            _ => ScoreError::OwnDeadline(own),
        };
        let timeout = timeout.unwrap_or(own).min(own);
        let result = match query {
            Err(error) => Err(error),
            Ok(query) => {
                // Sizes and names only: the prompt is the user's.
                let span = debug_span!("score", rpc = rpc.as_str(), model = %query.model, input = query.input.kind());
                match tokio::time::timeout(timeout, self.admit(query).instrument(span)).await {
                    Ok(result) => result,
                    Err(_) => Err(late),
                }
            }
        };
        let result = result.map_err(|error| Failure::from(&error));
        let label = result
            .as_ref()
            .map_or_else(|failure| failure.kind.as_str(), |_| "ok");
        self.metrics.answered(rpc, label, start.elapsed());
        if let Ok(outcome) = &result {
            self.metrics.matched(outcome);
        }
        result
    }

    /// A place for one more stream, kept for as long as the permit lives.
    pub(crate) fn open_stream(&self) -> Result<OwnedSemaphorePermit, ScoreError> {
        let busy = |_| ScoreError::Busy {
            what: "streams",
            limit: self.limits.streams,
        };
        Arc::clone(&self.streams).try_acquire_owned().map_err(busy)
    }

    async fn admit(&self, query: ScoreQuery) -> Result<Outcome, ScoreError> {
        let busy = |_| ScoreError::Busy {
            what: "queries",
            limit: self.limits.in_flight,
        };
        let _admitted = self.in_flight.try_acquire().map_err(busy)?;
        let _counted = self.metrics.began();
        if is_short(&query.input) {
            return self.scoring.score(query);
        }
        let turn = Arc::clone(&self.tokenizing).acquire_owned().await;
        let turn = turn.map_err(|_| ScoreError::WorkerLost)?;
        let scoring = Arc::clone(&self.scoring);
        let span = tracing::Span::current();
        let work = move || {
            // Kept until the work is done: a caller that leaves early must not
            // make room for another while its work goes on.
            let _turn = turn;
            span.in_scope(|| scoring.score(query))
        };
        let lost = |error: tokio::task::JoinError| {
            if error.is_panic() {
                self.metrics.panicked();
            }
            ScoreError::WorkerLost
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(lost)?
    }
}

/// Whether the query is answered faster than a thread is found for it.
fn is_short(input: &Input) -> bool {
    match input {
        Input::Tokens(ids) => ids.len() <= INLINE_LENGTH,
        Input::Keys(keys) => keys.values.len() <= INLINE_LENGTH,
        Input::Text(_) | Input::Chat(_) | Input::Completion(_) => false,
    }
}
