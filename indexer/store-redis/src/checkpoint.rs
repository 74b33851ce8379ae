//! Writing checkpoints: the whole state in pieces, then one step puts it in force.
//!
//! Whoever holds the lease writes. Losing it, or Redis turning out to be another,
//! is noticed in that last step; pieces that were written in vain expire.

mod write;

use std::sync::Arc;

use indexer_store::History;
use tokio::time::Instant;

use crate::keys::Keys;
use crate::link::Link;
use crate::metrics::{Metrics, set};
use crate::options::{CheckpointOptions, RedisOptions};
use write::{Made, Writer};

/// Whether the stream has grown enough for the next checkpoint.
fn is_due(options: &CheckpointOptions, total: u64, last_total: u64, last_bytes: u64) -> bool {
    total.saturating_sub(last_total) > options.stream_bytes_min.max(last_bytes)
}

/// Whether it has grown so much that nobody seems to write checkpoints.
pub(crate) fn is_overdue(
    options: &CheckpointOptions,
    total: u64,
    last_total: u64,
    last_bytes: u64,
) -> bool {
    let grown = total.saturating_sub(last_total);
    let due = options.stream_bytes_min.max(last_bytes);
    let most = options.stream_bytes_max.max(last_bytes.saturating_mul(2));
    // Half way from due to refused.
    grown > due + most.saturating_sub(due) / 2
}

/// Has checkpoints written when they are due, one at a time.
pub(crate) struct Checkpointer {
    options: Arc<RedisOptions>,
    metrics: Metrics,
    keys: Keys,
    link: Link,
    /// Tells this process from all others that may hold the lease.
    token: String,
    running: Option<tokio::task::JoinHandle<()>>,
    /// Not before this: another has the lease, or the last attempt failed.
    not_before: Arc<parking_lot::Mutex<Option<Instant>>>,
}

impl Checkpointer {
    pub(crate) fn new(options: Arc<RedisOptions>, metrics: Metrics) -> Self {
        Self {
            keys: Keys::new(&options.prefix),
            link: Link::new(Arc::clone(&options), std::time::Duration::ZERO),
            token: format!("{:032x}", rand::random::<u128>()),
            running: None,
            not_before: Arc::default(),
            options,
            metrics,
        }
    }

    /// Begins a checkpoint of the history as it is, if one is due. `at` is the
    /// stream's bytes here, and the last checkpoint's place and size.
    pub(crate) fn consider(&mut self, history: &History, epoch: &str, at: (u64, u64, u64)) {
        let (total, last_total, last_bytes) = at;
        let busy = self
            .running
            .as_ref()
            .is_some_and(|task| !task.is_finished());
        let early = self
            .not_before
            .lock()
            .is_some_and(|not_before| Instant::now() < not_before);
        if busy || early || !is_due(&self.options.checkpoint, total, last_total, last_bytes) {
            return;
        }
        let (revision, state) = history.state();
        let writer = Writer {
            keys: self.keys.clone(),
            link: self.link.clone(),
            options: Arc::clone(&self.options),
            token: self.token.clone(),
            epoch: epoch.to_owned(),
            revision,
            total,
        };
        let (metrics, not_before) = (self.metrics.clone(), Arc::clone(&self.not_before));
        let pause = self.options.checkpoint.lease / 2;
        self.running = Some(tokio::spawn(async move {
            match writer.write(state).await {
                Ok(Made::InForce { bytes }) => {
                    metrics.checkpoints.inc();
                    set(&metrics.checkpoint_bytes, bytes);
                    tracing::info!(revision = revision.0, bytes, "checkpoint written");
                    return;
                }
                Ok(Made::AnotherHasLease) => {}
                Ok(Made::InVain { why }) => {
                    metrics.checkpoint_errors.inc();
                    tracing::info!(why, "a checkpoint was given up");
                }
                Err(error) => {
                    metrics.checkpoint_errors.inc();
                    tracing::warn!(%error, "a checkpoint could not be written");
                }
            }
            *not_before.lock() = Some(Instant::now() + pause);
        }));
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        if let Some(task) = &self.running {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_due_before_it_is_overdue_before_appends_are_refused() {
        let options = CheckpointOptions {
            stream_bytes_min: 100,
            stream_bytes_max: 300,
            ..CheckpointOptions::default()
        };
        let seen = |total| {
            (
                is_due(&options, total, 0, 0),
                is_overdue(&options, total, 0, 0),
            )
        };
        assert_eq!(seen(100), (false, false));
        assert_eq!(seen(101), (true, false));
        assert_eq!(seen(201), (true, true));
        assert!(!is_due(&options, 500, 0, 500), "the last one is as large");
        assert!(!is_overdue(&options, 750, 0, 500));
        assert!(is_overdue(&options, 751, 0, 500));
    }
}
