//! The one task that owns every sequencer: queue in, batches out.
//!
//! A few appends are under way at a time, so that a message need not wait for
//! the one before it to be durable. A publisher is part of only one of them, and
//! what it says meanwhile gathers in its sequencer. When too much waits, nothing
//! more is taken from the queue, and the sockets stop being read.

mod append;
mod batch;
mod publishers;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use indexer_store::{AppendError, Appended, IndexWriter};
use proto_model::Publisher;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::IngestConfig;
use crate::models::Models;
use crate::replay::{ReplayNews, Replayed, Replayer};
use crate::sequencer::Work;
use crate::sockets::{Inbound, Live};
use crate::translate::Shared;
use crate::turns::next_turn;
use crate::view::PublisherView;
use append::append_until_known;
use batch::Limits;
use publishers::PublisherState;

/// Asks for the list of publishers.
pub(crate) type Query = oneshot::Sender<Vec<PublisherView>>;

/// What others may see of the driver.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// The store refuses everything: nothing more is taken.
    pub(crate) closed: AtomicBool,
    /// The store does not take the present batch yet.
    pub(crate) retrying: AtomicBool,
}

/// What the driver works with.
pub(crate) struct Parts {
    pub(crate) config: Arc<IngestConfig>,
    pub(crate) writer: Arc<dyn IndexWriter>,
    pub(crate) shared: Shared,
    pub(crate) models: Models,
    pub(crate) replayer: Replayer,
    pub(crate) health: Arc<Health>,
    /// No more replays: the ingestor stops.
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// The receiving ends.
pub(crate) struct Inputs {
    pub(crate) inbound: mpsc::Receiver<Inbound>,
    pub(crate) replayed: mpsc::Receiver<Replayed>,
    pub(crate) queries: mpsc::Receiver<Query>,
}

pub(crate) struct Driver {
    parts: Parts,
    publishers: HashMap<Arc<Publisher>, PublisherState>,
    /// The publishers that a connection has delivered.
    connections: HashMap<u64, Vec<Arc<Publisher>>>,
    /// Publishers with something to append, in the order of asking.
    dirty: std::collections::VecDeque<Arc<Publisher>>,
    /// When the next batch is to be built at the latest.
    due: Option<Instant>,
    flights: FuturesUnordered<BoxFuture<'static, Flight>>,
    limits: Limits,
    pending_bytes: usize,
    held_bytes: usize,
}

/// An append that has come to its end.
struct Flight {
    works: Vec<(Arc<Publisher>, Work)>,
    answer: Result<Appended, AppendError>,
    since: Instant,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        let limits = Limits::of(&parts.config.batching);
        Self {
            parts,
            publishers: HashMap::new(),
            connections: HashMap::new(),
            dirty: std::collections::VecDeque::new(),
            due: None,
            flights: FuturesUnordered::new(),
            limits,
            pending_bytes: 0,
            held_bytes: 0,
        }
    }

    /// Runs until the queue is closed and everything in it has been appended.
    pub(crate) async fn run(mut self, mut inputs: Inputs) {
        let mut open = true;
        while open || !self.flights.is_empty() || !self.dirty.is_empty() {
            if self.closed() && !open {
                return;
            }
            self.append_if_due();
            next_turn();
            let room = self.has_room();
            let (due, may_append) = (self.due, self.may_append());
            tokio::select! {
                Some(flight) = self.flights.next() => self.finish_append(flight),
                () = sleep_until(due), if due.is_some() && may_append => {}
                inbound = inputs.inbound.recv(), if open && room => match inbound {
                    Some(inbound) => self.take_in(inbound),
                    None => open = false,
                },
                Some(replayed) = inputs.replayed.recv(), if room => self.take_replayed(replayed),
                Some(query) = inputs.queries.recv() => {
                    query.send(self.views()).ok();
                }
                () = self.parts.stop.cancelled(), if open && !room && self.closed() => open = false,
            }
        }
    }

    fn closed(&self) -> bool {
        self.parts.health.closed.load(Ordering::Relaxed)
    }

    fn may_append(&self) -> bool {
        self.flights.len() < self.parts.config.batching.appends.get()
    }

    fn has_room(&self) -> bool {
        !self.closed() && self.pending_bytes < self.parts.config.bounds.pending_bytes.get()
    }

    fn take_in(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Opened { connection, stream } => match self.publisher(&stream) {
                Some(publisher) => self.attach(connection, &publisher),
                None => self.refuse(&stream),
            },
            Inbound::Closed { connection } => self.detach(connection),
            Inbound::Live(live) => self.take_live(*live),
        }
    }

    fn take_live(&mut self, live: Live) {
        let Live {
            connection,
            stream,
            stamp,
            keyed,
            permit,
        } = live;
        let Some(publisher) = self.publisher(&stream) else {
            return self.refuse(&stream);
        };
        self.attach(connection, &publisher);
        let room = self.held_bytes < self.parts.config.bounds.held_bytes.get();
        self.touch(&publisher, |state, shared| {
            state.heard(stamp.sequence);
            let entry = state.translate(stamp, keyed, shared);
            state
                .sequencer
                .live(entry, state.connections.len() <= 1, room);
        });
        drop(permit);
    }

    fn take_replayed(&mut self, replayed: Replayed) {
        let Replayed {
            publisher,
            run,
            news,
            room: _room,
        } = replayed;
        self.touch(&publisher, |state, shared| match news {
            ReplayNews::Message { stamp, keyed } => {
                shared.metrics.replay_messages.inc();
                let entry = state.translate(stamp, *keyed, shared);
                state.sequencer.replayed(run, entry);
            }
            ReplayNews::Ended(end) => {
                shared.metrics.replays.add(end.label(), 1);
                state.sequencer.replay_ended(run, end);
            }
        });
    }

    /// Starts an append if one more may be under way and the batch has waited
    /// long enough, or is large enough.
    fn append_if_due(&mut self) {
        if !self.may_append() || self.dirty.is_empty() || self.closed() {
            return;
        }
        let full = self.pending_bytes >= self.limits.bytes;
        if !full && self.due.is_some_and(|due| Instant::now() < due) {
            return;
        }
        self.due = None;
        let (batch, works) = self.build_batch();
        if batch.commands.is_empty() {
            return;
        }
        let messages = works.iter().map(|(_, work)| work.messages()).sum::<usize>();
        self.parts
            .shared
            .metrics
            .batch_messages
            .observe(messages as f64);
        let appending = append_until_known(
            Arc::clone(&self.parts.writer),
            batch,
            self.parts.config.backoff.clone(),
            Arc::clone(&self.parts.health),
            self.parts.shared.metrics.clone(),
        );
        let since = Instant::now();
        // A task of its own, so that it goes on while messages are translated.
        let answer = tokio::spawn(appending);
        self.flights.push(Box::pin(async move {
            let answer = answer.await.unwrap_or_else(|error| {
                Err(AppendError::Closed {
                    reason: format!("append task ended: {error}"),
                })
            });
            Flight {
                works,
                answer,
                since,
            }
        }));
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
