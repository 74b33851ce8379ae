//! When the store was last heard, and whether it is heard now.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use proto_model::Revision;
use tokio::sync::watch;

/// Written by the follower, read by answers; never waits.
#[derive(Debug)]
pub(super) struct Freshness {
    start: Instant,
    /// Milliseconds after `start`.
    heard_ms: AtomicU64,
    connected: AtomicBool,
    resets: AtomicU64,
    reconnects: AtomicU64,
    refusals: AtomicU64,
    refusals_in_a_row: AtomicU64,
    followers: AtomicU64,
    /// The revision reached, for those who wait for one.
    reached: watch::Sender<Option<Revision>>,
}

impl Freshness {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            heard_ms: AtomicU64::new(0),
            connected: AtomicBool::new(false),
            resets: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            refusals_in_a_row: AtomicU64::new(0),
            followers: AtomicU64::new(0),
            reached: watch::Sender::new(None),
        }
    }

    /// The store led further, or said that there is nothing further.
    pub(super) fn heard(&self) {
        self.heard_ms.store(self.now_ms(), Ordering::Relaxed);
        self.connected.store(true, Ordering::Relaxed);
        self.refusals_in_a_row.store(0, Ordering::Relaxed);
    }

    /// The store offered an older history; how many times in a row by now.
    pub(super) fn refused(&self) -> u64 {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        self.refusals_in_a_row.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Somebody follows, for as long as the guard lives.
    pub(super) fn follow(&self) -> Following<'_> {
        self.followers.fetch_add(1, Ordering::Relaxed);
        Following(&self.followers)
    }

    /// The watch ended.
    pub(super) fn lost(&self) {
        self.connected.store(false, Ordering::Relaxed);
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    /// A snapshot has been taken over.
    pub(super) fn installed(&self) {
        self.resets.fetch_add(1, Ordering::Release);
    }

    /// Answers now count everything up to `revision`.
    pub(super) fn reached(&self, revision: Revision) {
        self.reached.send_if_modified(|reached| {
            let newer = *reached < Some(revision);
            *reached = (*reached).max(Some(revision));
            newer
        });
    }

    /// Returns once answers count everything up to `revision`.
    pub(super) async fn wait_for(&self, revision: Revision) {
        let mut reached = self.reached.subscribe();
        // The sender lives as long as this, so waiting cannot fail.
        let _ = reached.wait_for(|reached| *reached >= Some(revision)).await;
    }

    /// Whether there ever was a complete snapshot.
    pub(super) fn complete(&self) -> bool {
        self.resets.load(Ordering::Acquire) > 0
    }

    pub(super) fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    pub(super) fn age_ms(&self) -> u64 {
        self.now_ms()
            .saturating_sub(self.heard_ms.load(Ordering::Relaxed))
    }

    pub(super) fn resets(&self) -> u64 {
        self.resets.load(Ordering::Relaxed)
    }

    pub(super) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    pub(super) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    pub(super) fn refusals_in_a_row(&self) -> u64 {
        self.refusals_in_a_row.load(Ordering::Relaxed)
    }

    pub(super) fn followers(&self) -> u64 {
        self.followers.load(Ordering::Relaxed)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// One running follower.
#[derive(Debug)]
pub(super) struct Following<'a>(&'a AtomicU64);

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
