//! What the engine has generated for one request and its connection has not yet
//! sent. A slow client keeps nothing waiting: tokens it has not read are counted,
//! not queued.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::engine::{First, Generated, SubmitError};

/// Between the engine and one request's connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    progress: Mutex<Progress>,
    changed: Notify,
    given_up: AtomicBool,
}

/// How far a request is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Tokens generated.
    pub(crate) generated: usize,
    /// Known from the first token on.
    pub(crate) first: Option<First>,
    /// Whether and how it ended.
    pub(crate) end: Option<End>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With its last token.
    Complete,
    /// The engine did not take it.
    Refused(SubmitError),
    /// The engine is gone.
    Cut,
}

impl Outbox {
    pub(crate) fn add(&self, token: &Generated) {
        self.update(|progress| {
            progress.generated += 1;
            progress.first = progress.first.or(token.first);
            if token.last {
                progress.end = Some(End::Complete);
            }
        });
    }

    pub(crate) fn end(&self, end: End) {
        self.update(|progress| progress.end = progress.end.or(Some(end)));
    }

    pub(crate) fn progress(&self) -> Progress {
        *self.progress.lock().expect("nothing panics with it")
    }

    /// Waits until more than `seen` tokens are there, or the end.
    pub(crate) async fn beyond(&self, seen: usize) -> Progress {
        loop {
            let changed = self.changed.notified();
            let progress = self.progress();
            if progress.generated > seen || progress.end.is_some() {
                return progress;
            }
            changed.await;
        }
    }

    /// Nobody waits for the rest.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().expect("nothing panics with it"));
        self.changed.notify_one();
    }
}
