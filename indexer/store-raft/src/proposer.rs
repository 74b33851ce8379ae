//! Group commit: everything that waits goes into one log entry, and several
//! entries are on their way at a time.
//!
//! ```text
//!  append ──▶ [bounded queue] ──▶ group ──▶ raft: flush, replicate, apply ──▶ answers
//!                                   ▲ at most `entries_in_flight`
//! ```

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use indexer_store::{AppendError, Appended};
use openraft::error::ClientWriteError;
use openraft::metrics::RaftServerMetrics;
use openraft::raft::ClientWriteResult;
use openraft::{Raft, ServerState};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::metrics::Metrics;
use crate::options::AppendOptions;
use crate::types::{Applied, NodeId, Proposal, RaftNode, TypeConfig};

/// Appends that may wait, whatever their size.
const WAITING_MAX: usize = 4096;

/// Where appends wait.
pub(crate) struct Queue {
    sender: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    room_max: usize,
}

struct Waiting {
    batch: Bytes,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
    _room: OwnedSemaphorePermit,
}

impl Queue {
    /// A queue and what works it off.
    pub(crate) fn new(
        raft: Raft<TypeConfig>,
        options: &AppendOptions,
        metrics: Arc<Metrics>,
    ) -> (Self, Proposer) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let queue = Self {
            sender,
            room: Arc::new(Semaphore::new(options.queue_bytes)),
            room_max: options.queue_bytes,
        };
        let proposer = Proposer {
            raft,
            options: options.clone(),
            metrics,
            receiver,
            held: None,
            flying: FuturesUnordered::new(),
        };
        (queue, proposer)
    }

    /// Waits for room, for its turn, and for what becomes of it.
    pub(crate) async fn append(&self, batch: Bytes) -> Result<Appended, AppendError> {
        let bytes = u32::try_from(batch.len().clamp(1, self.room_max)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        let Ok(room) = room else {
            return Err(stopped());
        };
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            batch,
            answer,
            _room: room,
        };
        if self.sender.send(waiting).await.is_err() {
            return Err(stopped());
        }
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Whether nothing waits and nothing is on its way.
    pub(crate) fn idle(&self) -> bool {
        self.room.available_permits() == self.room_max
    }
}

fn stopped() -> AppendError {
    AppendError::Unavailable {
        reason: "the node is stopping".into(),
    }
}

/// The entry may yet be committed, by this leader or the next.
fn unknown(why: &str) -> AppendError {
    AppendError::Unavailable {
        reason: format!("{why}; whether the batch was appended is not known"),
    }
}

/// Returns once this node does not lead any more in the term that it is in now.
async fn leadership_lost(
    mut metrics: tokio::sync::watch::Receiver<RaftServerMetrics<NodeId, RaftNode>>,
) {
    let term = metrics.borrow_and_update().vote.leader_id().term;
    let lost = |seen: &RaftServerMetrics<NodeId, RaftNode>| {
        seen.state != ServerState::Leader || seen.vote.leader_id().term != term
    };
    // The channel closes with the node, and then the answer's does too.
    if metrics.wait_for(lost).await.is_err() {
        std::future::pending().await
    }
}

/// Makes groups of what waits. One task.
pub(crate) struct Proposer {
    raft: Raft<TypeConfig>,
    options: AppendOptions,
    metrics: Arc<Metrics>,
    receiver: mpsc::Receiver<Waiting>,
    /// It did not fit into the last group.
    held: Option<Waiting>,
    flying: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl Proposer {
    /// Until the queue is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            let room = self.flying.len() < self.options.entries_in_flight;
            tokio::select! {
                Some(()) = self.flying.next(), if !self.flying.is_empty() => {}
                first = next(&mut self.held, &mut self.receiver), if room => match first {
                    Some(first) => self.propose(first).await,
                    None => break,
                },
            }
            self.metrics.in_flight(self.flying.len());
        }
        while self.flying.next().await.is_some() {}
    }

    async fn propose(&mut self, first: Waiting) {
        let group = self.group(first);
        if group.is_empty() {
            return;
        }
        let batches: Vec<Bytes> = group.iter().map(|one| one.batch.clone()).collect();
        let bytes = batches.iter().map(Bytes::len).sum();
        self.metrics.group(batches.len(), bytes);
        let begun = Instant::now();
        let lost = leadership_lost(self.raft.server_metrics());
        let sent = self.raft.client_write_ff(Proposal::Batches(batches)).await;
        let metrics = Arc::clone(&self.metrics);
        let deadline = self.options.deadline;
        self.flying.push(Box::pin(async move {
            match sent {
                // openraft answers when the entry is applied or cut off. It does
                // neither if a snapshot of the next leader covers the entry.
                Ok(receiver) => tokio::select! {
                    biased;
                    answered = receiver => match answered {
                        Ok(result) => answer(group, result),
                        Err(_) => refuse(group, &stopped()),
                    },
                    () = lost => refuse(group, &unknown("this node no longer leads")),
                    () = tokio::time::sleep(deadline) => {
                        refuse(group, &unknown("no majority has answered in time"));
                    }
                },
                Err(fatal) => refuse(
                    group,
                    &AppendError::Closed {
                        reason: fatal.to_string(),
                    },
                ),
            }
            metrics.committed(begun.elapsed());
        }));
    }

    /// What waits and is still waited for, up to the limits.
    fn group(&mut self, first: Waiting) -> Vec<Waiting> {
        let mut bytes = first.batch.len();
        let mut group = Vec::new();
        if !first.answer.is_closed() {
            group.push(first);
        }
        while group.len() < self.options.group_batches {
            let Ok(next) = self.receiver.try_recv() else {
                break;
            };
            if next.answer.is_closed() {
                continue;
            }
            bytes += next.batch.len();
            if bytes > self.options.group_bytes && !group.is_empty() {
                self.held = Some(next);
                break;
            }
            group.push(next);
        }
        group
    }
}

async fn next(
    held: &mut Option<Waiting>,
    receiver: &mut mpsc::Receiver<Waiting>,
) -> Option<Waiting> {
    match held.take() {
        Some(waiting) => Some(waiting),
        None => receiver.recv().await,
    }
}

fn answer(group: Vec<Waiting>, result: ClientWriteResult<TypeConfig>) {
    match result {
        Ok(written) => match written.data {
            Applied::Batches(applied) => {
                for (waiting, applied) in group.into_iter().zip(applied) {
                    let appended = Appended {
                        revision: applied.revision,
                        outcomes: applied.outcomes,
                    };
                    // Whoever waited may have gone; it is appended all the same.
                    let _ = waiting.answer.send(Ok(appended));
                }
            }
            Applied::Nothing => refuse(
                group,
                &AppendError::Unavailable {
                    reason: "the history has not begun".into(),
                },
            ),
        },
        Err(ClientWriteError::ForwardToLeader(forward)) => {
            let leader = forward.leader_node.map(|node| node.addr);
            refuse(group, &AppendError::NotLeader { leader });
        }
        Err(ClientWriteError::ChangeMembershipError(error)) => refuse(
            group,
            &AppendError::Unavailable {
                reason: error.to_string(),
            },
        ),
    }
}

fn refuse(group: Vec<Waiting>, error: &AppendError) {
    for waiting in group {
        let _ = waiting.answer.send(Err(error.clone()));
    }
}
