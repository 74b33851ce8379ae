//! What waits to be appended to one store.
//!
//! A command alone would cost a round of the store's log. So commands of
//! concurrent calls are gathered into batches, and while one batch is under way
//! the next may be: two are enough to keep a store busy.

mod batch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use indexer_store::IndexWriter;
use proto_model::{Command, Revision};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use super::error::RouteError;
use crate::metrics::{Queued, RouteMetrics};

/// Commands that may wait.
const QUEUED_MAX: usize = 4096;

/// Bytes of commands that may wait or be under way.
const BYTES_MAX: usize = 8 << 20;

/// Commands of one batch.
const BATCH_MAX: usize = 256;

/// Bytes from which on a batch is full.
const BATCH_BYTES: usize = 1 << 20;

/// How long a command may wait for others to be appended with it.
const GATHER: Duration = Duration::from_millis(1);

/// Batches under way at a time.
const UNDER_WAY: usize = 2;

/// What a command takes beside its keys and names.
const COMMAND_BYTES: usize = 256;

/// The callers' end.
#[derive(Debug)]
pub(super) struct Queue {
    jobs: mpsc::Sender<Job>,
    bytes: Arc<Semaphore>,
    metrics: RouteMetrics,
}

/// The store's end.
pub(super) struct Work {
    jobs: mpsc::Receiver<Job>,
    metrics: RouteMetrics,
}

/// One command that somebody waits for.
struct Job {
    command: Command,
    weight: usize,
    /// Until when it is tried.
    until: Instant,
    done: oneshot::Sender<Result<Revision, RouteError>>,
    /// Given back when it is done.
    place: Place,
}

/// What a command takes of the bounds, for as long as it lives.
struct Place {
    _room: OwnedSemaphorePermit,
    _queued: Queued,
}

pub(super) fn queue(metrics: RouteMetrics) -> (Queue, Work) {
    let (sender, receiver) = mpsc::channel(QUEUED_MAX);
    let queue = Queue {
        jobs: sender,
        bytes: Arc::new(Semaphore::new(BYTES_MAX)),
        metrics: metrics.clone(),
    };
    let work = Work {
        jobs: receiver,
        metrics,
    };
    (queue, work)
}

impl Queue {
    /// Appends a command with others; answers once the store has it.
    pub(super) async fn append(
        &self,
        command: Command,
        until: Instant,
    ) -> Result<Revision, RouteError> {
        let weight = weight(&command);
        let permits = u32::try_from(weight).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.bytes).try_acquire_many_owned(permits);
        let room = room.map_err(|_| RouteError::Full { what: "8 MiB" })?;
        let (done, answer) = oneshot::channel();
        let job = Job {
            command,
            weight,
            until,
            done,
            place: Place {
                _room: room,
                _queued: self.metrics.queued(),
            },
        };
        self.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => RouteError::Full {
                what: "4096 commands",
            },
            TrySendError::Closed(_) => RouteError::Stopping,
        })?;
        match timeout_at(until.into(), answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(RouteError::Stopping),
            Err(_) => Err(RouteError::Late),
        }
    }
}

/// About the bytes that a command takes.
fn weight(command: &Command) -> usize {
    match command {
        Command::RouteRecorded(route) => COMMAND_BYTES + route.keys.len() * size_of::<u64>(),
        _ => COMMAND_BYTES,
    }
}

impl Work {
    /// Appends what is queued until `stop`, then what was queued before it.
    pub(super) async fn run(mut self, writer: Arc<dyn IndexWriter>, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(UNDER_WAY));
        let mut under_way = JoinSet::new();
        // While both places are taken, commands gather in the queue.
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let first = tokio::select! {
                biased;
                first = self.jobs.recv() => first,
                () = stop.cancelled(), if !self.jobs.is_closed() => {
                    self.jobs.close();
                    self.jobs.recv().await
                }
            };
            let Some(first) = first else { break };
            let jobs = self.gather(first).await;
            let writer = Arc::clone(&writer);
            let metrics = self.metrics.clone();
            under_way.spawn(async move {
                let _place = place;
                batch::append(writer.as_ref(), jobs, &metrics).await;
            });
            while under_way.try_join_next().is_some() {}
        }
        under_way.join_all().await;
    }

    /// The first command and those that follow it at once.
    async fn gather(&mut self, first: Job) -> Vec<Job> {
        let until = tokio::time::Instant::now() + GATHER;
        let mut bytes = first.weight;
        let mut jobs = vec![first];
        while jobs.len() < BATCH_MAX && bytes < BATCH_BYTES {
            let Ok(Some(job)) = timeout_at(until, self.jobs.recv()).await else {
                break;
            };
            bytes += job.weight;
            jobs.push(job);
        }
        jobs
    }
}
