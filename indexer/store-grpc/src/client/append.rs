//! One append: to the leader, wherever it is by now.

use std::time::Duration;

use indexer_store::{AppendError, Appended};
use proto_api::v1::store_client::StoreClient;
use proto_api::{AppendRequest, StoreFailure};
use tokio::time::{Instant, sleep, timeout};
use tonic::Request;

use super::Inner;
use super::backoff::Backoff;
use super::connect::failed;
use super::trouble::SOON;

/// Hints followed in a row. Nodes that name each other in turn do not know.
const HINTS_MAX: usize = 4;

/// The answer to an append is some bytes per command.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Sends the batch until it is taken, refused for good, or the deadline is over.
pub(super) async fn append(
    inner: &Inner,
    request: AppendRequest,
    commands: usize,
) -> Result<Appended, AppendError> {
    let since = Instant::now();
    let result = Appending::new(inner, request, commands).run().await;
    let kind = result.as_ref().map_or_else(kind, |_| "ok");
    inner.metrics.append_ended(kind);
    let seconds = since.elapsed().as_secs_f64();
    inner.metrics.append_seconds.observe(seconds);
    result
}

fn kind(error: &AppendError) -> &'static str {
    match error {
        AppendError::TooLarge { .. } => "too_large",
        AppendError::NotLeader { .. } => "not_leader",
        AppendError::Unavailable { .. } => "unavailable",
        AppendError::Closed { .. } => "refused",
    }
}

struct Appending<'a> {
    inner: &'a Inner,
    request: AppendRequest,
    commands: usize,
    begun: Instant,
    until: Instant,
    backoff: Backoff,
    target: String,
    hints: usize,
    /// Nodes tried since the last pause.
    tried: usize,
}

/// What to do after an attempt that failed.
enum Next {
    /// Try this node at once.
    Hint(String),
    /// Try the next node, after a pause if all were tried.
    Elsewhere,
    /// Try the same node after a pause.
    Again,
    /// Never.
    Stop(AppendError),
}

impl<'a> Appending<'a> {
    fn new(inner: &'a Inner, request: AppendRequest, commands: usize) -> Self {
        let options = &inner.options;
        Self {
            inner,
            request,
            commands,
            begun: Instant::now(),
            until: Instant::now() + options.append_deadline,
            backoff: Backoff::new(options.backoff_min, options.backoff_max),
            target: inner.leader.address(),
            hints: 0,
            tried: 0,
        }
    }

    async fn run(mut self) -> Result<Appended, AppendError> {
        loop {
            let failure = match self.attempt().await {
                Ok(appended) => {
                    self.inner.leader.is(&self.target);
                    return Ok(appended);
                }
                Err(failure) => failure,
            };
            tracing::debug!(node = self.target, %failure, "an append was not taken");
            if self.tried + 1 >= self.inner.nodes.len() || self.begun.elapsed() >= SOON {
                self.inner.trouble.say(&self.target, &failure);
            }
            let pause = match self.judge(&failure) {
                Next::Stop(error) => return Err(error),
                Next::Hint(address) => {
                    self.inner.metrics.redirects.inc();
                    self.go_to(address);
                    false
                }
                Next::Elsewhere => {
                    let next = self.inner.nodes.after(&self.target).to_owned();
                    self.go_to(next);
                    self.tried += 1;
                    self.tried >= self.inner.nodes.len()
                }
                Next::Again => true,
            };
            if pause {
                (self.tried, self.hints) = (0, 0);
                let delay = self.backoff.delay();
                sleep(delay.min(self.left())).await;
            }
            if self.left().is_zero() {
                let waited = self.inner.options.append_deadline;
                let reason = format!("not taken within {waited:?}; last: {failure}");
                return Err(AppendError::Unavailable { reason });
            }
        }
    }

    async fn attempt(&self) -> Result<Appended, StoreFailure> {
        self.inner.metrics.attempts.inc();
        let options = &self.inner.options;
        let channel = self.inner.channels.to(&self.target, options);
        let channel = channel.map_err(unavailable)?;
        let limit = options.append_attempt.min(self.left());
        let limit = limit.max(Duration::from_millis(1));
        let mut request = Request::new(self.request.clone());
        request.set_timeout(limit);
        let mut client = StoreClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        let answer = match timeout(limit, client.append(request)).await {
            Ok(answer) => answer.map_err(|status| failed(&status, options.tls.is_some()))?,
            Err(_) => {
                self.inner.channels.forget(&self.target);
                return Err(unavailable(format!("no answer within {limit:?}")));
            }
        };
        let (revision, outcomes) = answer
            .into_inner()
            .read(self.commands)
            .map_err(unavailable)?;
        Ok(Appended { revision, outcomes })
    }

    fn judge(&mut self, failure: &StoreFailure) -> Next {
        match failure {
            StoreFailure::NotLeader {
                leader: Some(leader),
            } if *leader != self.target && self.hints < HINTS_MAX => {
                self.hints += 1;
                Next::Hint(leader.clone())
            }
            StoreFailure::TooLarge { bytes, limit } => Next::Stop(self.too_large(*bytes, *limit)),
            StoreFailure::Invalid { message, .. } => Next::Stop(AppendError::Closed {
                reason: format!("the batch was refused: {message}"),
            }),
            StoreFailure::Busy { .. } => Next::Again,
            StoreFailure::NotLeader { .. }
            | StoreFailure::Unavailable { .. }
            | StoreFailure::Closed { .. }
            | StoreFailure::Lagged { .. } => Next::Elsewhere,
        }
    }

    /// What the server did not say is made up so that it is true.
    fn too_large(&self, bytes: u64, limit: u64) -> AppendError {
        let known = |value| usize::try_from(value).ok().filter(|value| *value > 0);
        let bytes = known(bytes).unwrap_or_else(|| self.request.len());
        let limit = known(limit).unwrap_or_else(|| bytes.saturating_sub(1));
        AppendError::TooLarge { bytes, limit }
    }

    fn go_to(&mut self, address: String) {
        self.inner.leader.is_not(&self.target, &address);
        self.target = address;
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

fn unavailable(error: impl ToString) -> StoreFailure {
    StoreFailure::Unavailable {
        message: error.to_string(),
    }
}
