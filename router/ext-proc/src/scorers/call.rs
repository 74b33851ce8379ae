//! One question: the first scorer, a second one if it is slow or fails, and the
//! first answer that can be used.
//!
//! ```text
//!  ask ──▶ first ──────────────────────────▶ answer
//!            │ slower than 19 of 20: hedge (a bounded share)
//!            │ half of the time is over, or it failed: fail over
//!            └──▶ another ─────────────────▶ answer
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use proto_api::{Failure, FailureKind, v1};

use super::breaker::Trouble;
use super::error::ScoreError;
use super::node::Node;
use super::{Scored, Shared};

/// Scorers asked for one question, at most.
const ATTEMPTS: usize = 4;

/// Sooner than this nobody counts as slow.
const HEDGE_AFTER_MIN: Duration = Duration::from_millis(2);

/// One request to one scorer, which has ended.
struct Ended {
    node: Arc<Node>,
    result: Result<v1::ScoreResponse, Failure>,
}

/// One question on its way.
pub(super) struct Call<'a> {
    shared: &'a Shared,
    request: v1::ScoreRequest,
    /// The question's size, which its duration is compared by.
    bytes: usize,
    began: Instant,
    deadline: Instant,
    asked: Vec<(Arc<Node>, Instant)>,
    /// The second request that was sent because the first was slow.
    hedge: Option<SocketAddr>,
    running: FuturesUnordered<BoxFuture<'static, Ended>>,
}

/// When another scorer is asked although none has failed.
#[derive(Debug, Clone, Copy)]
enum Next {
    Hedge(Instant),
    FailOver(Instant),
    Never,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        request: v1::ScoreRequest,
        bytes: usize,
        deadline: Instant,
    ) -> Self {
        Self {
            shared,
            request,
            bytes,
            began: Instant::now(),
            deadline,
            asked: Vec::new(),
            hedge: None,
            running: FuturesUnordered::new(),
        }
    }

    /// The first answer that can be used, before the deadline.
    pub(super) async fn answer(mut self) -> Result<Scored, ScoreError> {
        if !self.ask_another() {
            return Err(match self.shared.pool.nodes().len() {
                0 => ScoreError::NoScorer,
                known => ScoreError::AllLeftOut(known),
            });
        }
        self.shared.hedging.sent();
        let mut next = self.next();
        loop {
            let wake = match next {
                Next::Hedge(at) | Next::FailOver(at) => at.min(self.deadline),
                Next::Never => self.deadline,
            };
            tokio::select! {
                biased;
                Some(ended) = self.running.next() => {
                    let error = match self.judge(ended) {
                        Ok(scored) => return Ok(scored),
                        Err(error) => error,
                    };
                    let elsewhere = another_may_know_better(&error) && self.ask_another();
                    if elsewhere {
                        self.shared.stats.failovers.inc();
                    } else if self.running.is_empty() || !another_may_know_better(&error) {
                        return Err(error);
                    }
                }
                () = tokio::time::sleep_until(wake.into()) => match next {
                    _ if wake >= self.deadline => return Err(self.late()),
                    Next::Hedge(_) => {
                        self.send_hedge();
                        next = Next::FailOver(self.half());
                    }
                    Next::FailOver(_) | Next::Never => {
                        if self.ask_another() {
                            self.shared.stats.failovers.inc();
                        }
                        next = Next::Never;
                    }
                }
            }
        }
    }

    fn half(&self) -> Instant {
        self.began + self.deadline.saturating_duration_since(self.began) / 2
    }

    fn next(&self) -> Next {
        let half = self.half();
        match self.shared.latency.p95(self.bytes) {
            Some(p95) if self.began + p95.max(HEDGE_AFTER_MIN) < half => {
                Next::Hedge(self.began + p95.max(HEDGE_AFTER_MIN))
            }
            _ => Next::FailOver(half),
        }
    }

    fn send_hedge(&mut self) {
        let tried: Vec<_> = self.tried();
        if self.shared.pool.choose(&tried).is_some()
            && self.shared.hedging.take()
            && self.ask_another()
        {
            self.hedge = self.asked.last().map(|(node, _)| node.address);
            self.shared.stats.hedges.inc();
        }
    }

    fn tried(&self) -> Vec<SocketAddr> {
        self.asked.iter().map(|(node, _)| node.address).collect()
    }

    /// Asks a scorer that has not been asked yet; `false` if there is none.
    fn ask_another(&mut self) -> bool {
        if self.asked.len() >= ATTEMPTS {
            return false;
        }
        let Some(node) = self.shared.pool.choose(&self.tried()) else {
            return false;
        };
        let now = Instant::now();
        let patience = self.deadline.saturating_duration_since(now);
        self.asked.push((Arc::clone(&node), now));
        self.shared.stats.requests.inc();
        let request = self.request.clone();
        self.running.push(Box::pin(async move {
            let result = node.score(request, patience).await;
            Ended { node, result }
        }));
        true
    }

    /// Whether an answer can be used; keeps the scorer's record.
    fn judge(&mut self, ended: Ended) -> Result<Scored, ScoreError> {
        let Ended { node, result } = ended;
        let scorer = || node.address.to_string();
        let asked = self
            .asked
            .iter()
            .find(|(known, _)| known.address == node.address);
        let took = asked.map_or(Duration::ZERO, |(_, at)| at.elapsed());
        let response = match result {
            Ok(response) => response,
            Err(failure) => {
                self.note_failure(&node, &failure);
                return Err(ScoreError::Failed {
                    scorer: scorer(),
                    failure,
                });
            }
        };
        node.answered();
        self.shared.latency.note(self.bytes, took);
        let age = Duration::from_millis(response.age_ms);
        if age > self.shared.max_age {
            return Err(ScoreError::TooOld {
                scorer: scorer(),
                age,
                bound: self.shared.max_age,
            });
        }
        self.note_losers(node.address);
        Ok(Scored {
            response,
            scorer: node.address,
            took: self.began.elapsed(),
        })
    }

    fn note_failure(&self, node: &Node, failure: &Failure) {
        let trouble = match failure.kind {
            FailureKind::Unavailable => Trouble::Away,
            FailureKind::DeadlineExceeded | FailureKind::Cancelled | FailureKind::Internal => {
                Trouble::Silent
            }
            // It is well, and says no.
            _ => return node.answered(),
        };
        self.blame(node, trouble);
    }

    /// Those that were asked earlier and have not answered yet.
    fn note_losers(&self, winner: SocketAddr) {
        if let Some(hedge) = self.hedge {
            let won = hedge == winner;
            self.shared.hedging.ended(won);
            if won {
                self.shared.stats.hedges_won.inc();
            }
        }
        let half = self.deadline.saturating_duration_since(self.began) / 2;
        let earlier = self
            .asked
            .iter()
            .take_while(|(node, _)| node.address != winner);
        for (node, at) in earlier {
            let silent = at.elapsed() >= half;
            self.blame(
                node,
                if silent {
                    Trouble::Silent
                } else {
                    Trouble::Outrun
                },
            );
        }
    }

    fn late(&self) -> ScoreError {
        for (node, _) in &self.asked {
            self.blame(node, Trouble::Silent);
        }
        ScoreError::Late(self.began.elapsed())
    }

    fn blame(&self, node: &Node, trouble: Trouble) {
        if node.failed(trouble) {
            self.shared.stats.left_out.inc();
        }
    }
}

/// Whether it makes sense to ask somebody else: all scorers follow the same
/// stores, so what one refuses, all do.
fn another_may_know_better(error: &ScoreError) -> bool {
    match error {
        ScoreError::Failed { failure, .. } => {
            failure.retryable()
                || matches!(failure.kind, FailureKind::Internal | FailureKind::Cancelled)
        }
        _ => true,
    }
}
