//! As of when the index is, and whether the store is heard now.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proto_model::Revision;
use tokio::sync::watch;

/// Written by the follower, read by answers; never waits.
#[derive(Debug)]
pub(super) struct Freshness {
    start: Instant,
    /// When it was last so that nothing was missing, in milliseconds after
    /// `start`; [`NEVER`] before anything was heard.
    as_of_ms: AtomicI64,
    /// Whether that is guessed from a snapshot, which carries no time.
    guessed: AtomicBool,
    connected: AtomicBool,
    resets: AtomicU64,
    reconnects: AtomicU64,
    refusals: AtomicU64,
    refusals_in_a_row: AtomicU64,
    followers: AtomicU64,
    /// The revision reached, for those who wait for one.
    reached: watch::Sender<Option<Revision>>,
}

/// Nothing was heard yet.
const NEVER: i64 = i64::MIN;

impl Freshness {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            as_of_ms: AtomicI64::new(NEVER),
            guessed: AtomicBool::new(false),
            connected: AtomicBool::new(false),
            resets: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            refusals_in_a_row: AtomicU64::new(0),
            followers: AtomicU64::new(0),
            reached: watch::Sender::new(None),
        }
    }

    /// The store led further, or said that there is nothing further: as things
    /// were `delay` ago.
    pub(super) fn heard(&self, delay: Duration) {
        self.heard_at(self.now_ms(), delay);
        self.led();
    }

    /// A snapshot was taken over that began to come `since` ago. The first item
    /// after it says how late it was.
    pub(super) fn heard_snapshot(&self, since: Duration) {
        self.heard_at(self.now_ms(), since);
        self.guessed.store(true, Ordering::Relaxed);
        self.led();
    }

    fn led(&self) {
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

    /// Milliseconds since the last moment that nothing is missing of. Before
    /// anything was heard, since the start.
    pub(super) fn age_ms(&self) -> u64 {
        self.age_at(self.now_ms())
    }

    /// What came late does not undo what is known of a later moment.
    fn heard_at(&self, now_ms: i64, delay: Duration) {
        let as_of = now_ms.saturating_sub(milliseconds(delay));
        // One follower writes.
        if self.guessed.swap(false, Ordering::Relaxed) {
            self.as_of_ms.store(as_of, Ordering::Relaxed);
        } else {
            self.as_of_ms.fetch_max(as_of, Ordering::Relaxed);
        }
    }

    fn age_at(&self, now_ms: i64) -> u64 {
        let as_of = match self.as_of_ms.load(Ordering::Relaxed) {
            NEVER => 0,
            as_of => as_of,
        };
        u64::try_from(now_ms.saturating_sub(as_of)).unwrap_or(0)
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

    fn now_ms(&self) -> i64 {
        milliseconds(self.start.elapsed())
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// One running follower.
#[derive(Debug)]
pub(super) struct Following<'a>(&'a AtomicU64);

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_the_time_since_receipt_and_the_delay_before_it() {
        let freshness = Freshness::new();
        assert_eq!(freshness.age_at(700), 700, "since the start");
        freshness.heard_at(1000, Duration::from_secs(3));
        assert_eq!(freshness.age_at(1000), 3000, "older than this process");
        assert_eq!(freshness.age_at(1500), 3500);
        freshness.heard_at(2000, Duration::from_millis(20));
        assert_eq!(freshness.age_at(2001), 21);
        freshness.heard_at(2500, Duration::from_secs(9));
        assert_eq!(freshness.age_at(2501), 521, "a later moment is known");
    }

    #[test]
    fn what_follows_a_snapshot_says_how_old_it_is() {
        let freshness = Freshness::new();
        freshness.heard_snapshot(Duration::from_secs(2));
        let now = freshness.now_ms();
        assert!(freshness.age_at(now) >= 2000);
        freshness.heard_at(now, Duration::from_secs(9));
        assert_eq!(freshness.age_at(now), 9000);
    }
}
