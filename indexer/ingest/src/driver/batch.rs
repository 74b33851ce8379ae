//! Sequencers' work to a batch, and outcomes back to sequencers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use indexer_store::AppendError;
use proto_model::{Batch, Command, EventsCommand, Outcome, Publisher};

use super::publishers::PublisherState;
use super::{Driver, Flight};
use crate::config::BatchingConfig;
use crate::entry::build_command;
use crate::sequencer::Work;

/// What one batch may hold; shrinks if the store finds batches too large.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Limits {
    pub(super) fn of(config: &BatchingConfig) -> Self {
        Self {
            messages: config.messages.get(),
            bytes: config.bytes.get(),
        }
    }

    fn halve(&mut self) {
        self.messages = (self.messages / 2).max(1);
        self.bytes = (self.bytes / 2).max(1);
    }
}

impl Driver {
    /// Takes work from those who asked first, up to the limits. At most one
    /// command per publisher, so that every outcome is the newest.
    pub(super) fn build_batch(&mut self) -> (Batch, Vec<(Arc<Publisher>, Work)>) {
        let mut left = self.limits;
        let (mut batch, mut works) = (Batch::default(), Vec::new());
        while left.messages > 0 && left.bytes > 0 {
            let Some(publisher) = self.dirty.pop_front() else {
                break;
            };
            let taken = self.touch(&publisher, |state, _| {
                state.queued = false;
                take_work(state, left)
            });
            let Some((command, work, bytes)) = taken.flatten() else {
                continue;
            };
            left.messages = left.messages.saturating_sub(work.messages().max(1));
            left.bytes = left.bytes.saturating_sub(bytes.max(1));
            batch.commands.push(command);
            works.push((publisher, work));
        }
        (batch, works)
    }

    /// Hands outcomes back.
    pub(super) fn finish_append(&mut self, flight: Flight) {
        let metrics = self.parts.shared.metrics.clone();
        metrics
            .append_seconds
            .observe(flight.since.elapsed().as_secs_f64());
        match flight.answer {
            Ok(appended) => {
                metrics.appends.add("done", 1);
                let mut outcomes = appended.outcomes.into_iter();
                for (publisher, work) in flight.works {
                    match outcomes.next() {
                        Some(outcome) => self.finish_work(&publisher, work, &outcome),
                        None => self.put_back(&publisher, work),
                    }
                }
            }
            Err(error) => {
                metrics.appends.add("failed", 1);
                self.finish_failed(flight.works, &error);
            }
        }
    }

    fn finish_work(&mut self, publisher: &Arc<Publisher>, work: Work, outcome: &Outcome) {
        let messages = &self.parts.shared.metrics.messages;
        messages.add("applied", u64::from(outcome.applied));
        messages.add("duplicate", u64::from(outcome.duplicates));
        messages.add("stale", u64::from(outcome.stale));
        self.touch(publisher, |state, _| state.sequencer.done(work, outcome));
    }

    fn put_back(&mut self, publisher: &Arc<Publisher>, work: Work) {
        self.touch(publisher, |state, _| state.sequencer.put_back(work));
    }

    fn finish_failed(&mut self, works: Vec<(Arc<Publisher>, Work)>, error: &AppendError) {
        let source = error as &dyn std::error::Error;
        if !matches!(error, AppendError::TooLarge { .. }) {
            tracing::error!(error = source, "the store takes no more batches");
            self.parts.health.closed.store(true, Ordering::Relaxed);
        } else if works.iter().map(|(_, work)| work.messages()).sum::<usize>() <= 1 {
            tracing::error!(error = source, "one message exceeds what the store takes");
            self.parts.shared.metrics.messages.add("too_large", 1);
        } else {
            tracing::warn!(error = source, "splitting batches");
            self.limits.halve();
        }
        let alone = works.len() == 1;
        for (publisher, mut work) in works {
            if let (true, Work::Events(entries)) = (alone, &mut work)
                && let [entry] = &mut entries[..]
                && !self.closed()
            {
                entry.make_unreadable();
            }
            self.put_back(&publisher, work);
        }
    }
}

/// One command, the work that it stands for, and its estimated size.
fn take_work(state: &mut PublisherState, left: Limits) -> Option<(Command, Work, usize)> {
    let publisher = Publisher::clone(&state.publisher);
    let work = state.sequencer.take(left.messages, left.bytes)?;
    let (command, work) = match work {
        Work::Events(mut entries) => {
            let (command, taken) = build_command(&publisher, &entries);
            let rest = entries.split_off(taken);
            state.sequencer.put_entries_back(rest);
            (Command::Events(command), Work::Events(entries))
        }
        Work::Ask => {
            let model = state.model_name();
            let nothing = EventsCommand {
                publisher,
                model,
                spaces: vec![],
                messages: vec![],
            };
            (Command::Events(nothing), Work::Ask)
        }
        Work::Gap { incarnation, next } => (
            Command::Gap {
                publisher,
                incarnation,
                next,
            },
            work,
        ),
        Work::Reset { incarnation } => (
            Command::Reset {
                publisher,
                incarnation,
            },
            work,
        ),
    };
    let bytes = work.bytes();
    Some((command, work, bytes))
}
