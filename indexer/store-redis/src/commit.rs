//! Groups of batches, judged and committed by one script.
//!
//! ```text
//!  append ─▶ queue ─▶ group ─▶ judge on headers ─▶ script: compare, XADD, HSET
//!                                 ▲                  │ another was faster
//!                                 └── its headers ◀──┘
//! ```
//!
//! One group is on its way at a time: the order of the queue is the order of the
//! stream.

mod group;
mod script;

use std::sync::Arc;
use std::time::Duration;

use indexer_store::{AppendError, Appended};
use proto_model::Batch;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::epoch::{Opened, open};
use crate::error::LinkError;
use crate::follow::Follower;
use crate::headers::Headers;
use crate::keys::Keys;
use crate::link::Link;
use crate::metrics::Metrics;
use crate::options::RedisOptions;
use crate::wire::encode_batch;

/// Times that a group is judged again because another writer was faster. Each
/// time somebody has got on, so it is rare to come even near.
const TRIES_MAX: u32 = 64;

/// A batch that waits for its commit.
pub(crate) struct Waiting {
    batch: Batch,
    /// The batch as the stream carries it, if all of it is new.
    payload: Vec<u8>,
    deadline: Instant,
    reply: oneshot::Sender<Result<Appended, AppendError>>,
}

/// The queue's end that appends use.
#[derive(Debug)]
pub(crate) struct Committer {
    queue: mpsc::Sender<Waiting>,
    timeout: Duration,
    closed: CancellationToken,
}

impl Committer {
    /// Starts the task that commits, until `closed`.
    pub(crate) fn start(
        options: Arc<RedisOptions>,
        opened: Opened,
        link: Link,
        follower: Follower,
        metrics: Metrics,
        closed: CancellationToken,
    ) -> Self {
        let (queue, batches) = mpsc::channel(options.queue);
        let timeout = options.append_timeout;
        let task = Task {
            keys: Keys::new(&options.prefix),
            options,
            link,
            follower,
            metrics,
            headers: Headers::default(),
            epoch: opened.epoch,
            publishers: opened.publishers,
        };
        tokio::spawn(task.run(batches, closed.clone()));
        Self {
            queue,
            timeout,
            closed,
        }
    }

    /// Commits one batch, together with others that wait.
    pub(crate) async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        let payload = encode_batch(batch).map_err(AppendError::from)?;
        let deadline = Instant::now() + self.timeout;
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting {
            batch: batch.clone(),
            payload,
            deadline,
            reply,
        };
        let answered = async {
            self.queue.send(waiting).await.map_err(|_| closed())?;
            answer.await.map_err(|_| closed())?
        };
        let late = || AppendError::Unavailable {
            reason: format!("no commit within {:?}", self.timeout),
        };
        tokio::select! {
            answered = tokio::time::timeout_at(deadline, answered) => {
                answered.map_err(|_| late())?
            }
            () = self.closed.cancelled() => Err(closed()),
        }
    }
}

fn closed() -> AppendError {
    AppendError::Closed {
        reason: "the store was shut down".to_owned(),
    }
}

/// What commits.
struct Task {
    options: Arc<RedisOptions>,
    keys: Keys,
    link: Link,
    follower: Follower,
    metrics: Metrics,
    headers: Headers,
    epoch: String,
    publishers: u64,
}

impl Task {
    async fn run(mut self, mut batches: mpsc::Receiver<Waiting>, closed: CancellationToken) {
        while let Some(group) = self.next_group(&mut batches, &closed).await {
            self.headers.bound();
            // Boxed: the future holds a whole group.
            let committed = Box::pin(self.commit_in_time(&group)).await;
            answer_all(group, committed, &self.metrics);
        }
    }

    /// The batches that wait, up to a bound; `None` when the store is closed.
    async fn next_group(
        &self,
        batches: &mut mpsc::Receiver<Waiting>,
        closed: &CancellationToken,
    ) -> Option<Vec<Waiting>> {
        let first = tokio::select! {
            first = batches.recv() => first?,
            () = closed.cancelled() => return None,
        };
        let mut bytes = first.payload.len();
        let mut group = vec![first];
        while group.len() < self.options.group_batches && bytes < self.options.group_bytes {
            let Ok(next) = batches.try_recv() else { break };
            bytes += next.payload.len();
            group.push(next);
        }
        // Who has gone away may come back with the same batch, so it is not wrong
        // to leave it out.
        group.retain(|waiting| !waiting.reply.is_closed());
        Some(group)
    }

    async fn commit_in_time(&mut self, group: &[Waiting]) -> Result<Vec<Appended>, AppendError> {
        let Some(deadline) = group.iter().map(|waiting| waiting.deadline).max() else {
            return Ok(Vec::new());
        };
        let committed = tokio::time::timeout_at(deadline, self.commit(group)).await;
        committed.unwrap_or_else(|_| {
            self.link.disconnect();
            let reason = "Redis did not answer in time".to_owned();
            Err(AppendError::Unavailable { reason })
        })
    }

    /// Takes up the history anew: what was known of headers may not be so.
    async fn reopen(&mut self) -> Result<(), LinkError> {
        self.headers.clear();
        let opened = open(&self.link, &self.keys, proto_model::Revision(0)).await?;
        self.metrics.opened(&opened);
        self.epoch = opened.epoch;
        self.publishers = opened.publishers;
        Ok(())
    }
}

fn answer_all(
    group: Vec<Waiting>,
    committed: Result<Vec<Appended>, AppendError>,
    metrics: &Metrics,
) {
    match committed {
        Ok(appended) => {
            metrics.group(group.len(), appended.len());
            for (waiting, appended) in group.into_iter().zip(appended) {
                // A caller that has gone away does not need it.
                let _ = waiting.reply.send(Ok(appended));
            }
        }
        Err(error) => {
            metrics.append_errors.inc_by(group.len() as u64);
            for waiting in group {
                let _ = waiting.reply.send(Err(error.clone()));
            }
        }
    }
}
