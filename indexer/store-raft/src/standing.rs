//! What a node knows of its own standing: whether its history has begun, how
//! far it has applied, and when it last stood at the cluster's head.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::types::ClusterId;

/// Shared by all parts of a node. The lock is never held across an await.
#[derive(Debug)]
pub(crate) struct Standing {
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Inner {
    cluster: Option<ClusterId>,
    /// The last log index in the state.
    applied: Option<u64>,
    /// The last index that is known to be committed.
    committed: Option<u64>,
    /// When the state last was all that a confirmed leader had committed.
    head_at: Option<Moment>,
    /// The state will have been that at this time, once it has this index.
    behind: Option<(u64, Moment)>,
    /// When a leader was last heard, or confirmed by its quorum if it is this node.
    heard_at: Option<Instant>,
    /// While this node leads: when a quorum last confirmed it.
    quorum_at: Option<Instant>,
    /// While this node leads: since when.
    leads_since: Option<Instant>,
    removed: bool,
    draining: bool,
    /// How many hold appends back for a while.
    holds: u32,
    /// While draining: who leads next, or is to.
    successor: Option<String>,
    /// Why it ended.
    ended: Option<String>,
    /// Whether it had to end.
    failed: bool,
}

/// Holds appends back.
#[derive(Debug)]
pub(crate) struct Hold<'a>(&'a Standing);

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.inner.lock().holds -= 1;
    }
}

/// A time by both clocks.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    unix_ms: u64,
}

impl Moment {
    fn ago(age: Duration) -> Self {
        let now = Instant::now();
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let unix_ms = u64::try_from(unix.saturating_sub(age).as_millis()).unwrap_or(u64::MAX);
        Self {
            at: now.checked_sub(age).unwrap_or(now),
            unix_ms,
        }
    }
}

/// When a node's state last was the cluster's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// How long ago.
    pub(crate) age: Duration,
    /// Then, in milliseconds since the Unix epoch.
    pub(crate) unix_ms: u64,
}

impl Standing {
    pub(crate) fn new(cluster: Option<ClusterId>, applied: Option<u64>) -> Self {
        let inner = Inner {
            cluster,
            applied,
            ..Inner::default()
        };
        Self {
            inner: Mutex::new(inner),
            changed: watch::Sender::new(()),
        }
    }

    /// Tells of every change of what does not change all the time: cluster,
    /// removal, draining, the end.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.inner.lock().cluster
    }

    pub(crate) fn begin(&self, cluster: ClusterId) {
        self.inner.lock().cluster = Some(cluster);
        self.changed.send_replace(());
    }

    /// The state now has everything up to `index`.
    pub(crate) fn applied_to(&self, index: u64) {
        let mut inner = self.inner.lock();
        inner.applied = Some(index);
        if let Some((needed, moment)) = inner.behind
            && needed <= index
        {
            inner.head_at = Some(moment);
            inner.behind = None;
        }
    }

    pub(crate) fn applied(&self) -> Option<u64> {
        self.inner.lock().applied
    }

    pub(crate) fn committed(&self) -> Option<u64> {
        let inner = self.inner.lock();
        inner.committed.max(inner.applied)
    }

    /// A leader spoke.
    pub(crate) fn heard(&self) {
        self.inner.lock().heard_at = Some(Instant::now());
    }

    /// When a leader was last heard.
    pub(crate) fn heard_at(&self) -> Option<Instant> {
        self.inner.lock().heard_at
    }

    /// This node leads, and a quorum confirmed it `age` ago; or it does not lead.
    pub(crate) fn leads(&self, age: Option<Duration>) {
        let now = Instant::now();
        let at = age.and_then(|age| now.checked_sub(age));
        let mut inner = self.inner.lock();
        inner.quorum_at = at;
        inner.leads_since = at.map(|_| inner.leads_since.unwrap_or(now));
        if at.is_some() {
            inner.heard_at = inner.heard_at.max(at);
        }
    }

    /// How long this node has led.
    pub(crate) fn leads_for(&self) -> Option<Duration> {
        self.inner.lock().leads_since.map(|since| since.elapsed())
    }

    /// Milliseconds since a quorum confirmed this node as leader.
    pub(crate) fn quorum_age_ms(&self) -> Option<u64> {
        let at = self.inner.lock().quorum_at?;
        Some(u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// A leader that a quorum confirmed `age` ago had committed everything up to
    /// `committed`.
    pub(crate) fn confirmed(&self, committed: Option<u64>, age: Duration) {
        let moment = Moment::ago(age);
        let mut inner = self.inner.lock();
        inner.committed = inner.committed.max(committed);
        if committed <= inner.applied {
            if inner.head_at.is_none_or(|head| head.at < moment.at) {
                inner.head_at = Some(moment);
            }
        } else if inner.behind.is_none() {
            // The first is kept until it is reached; under load there always is
            // a newer one.
            inner.behind = committed.map(|index| (index, moment));
        }
    }

    /// When the state last was the cluster's; `None` if not yet since the start.
    pub(crate) fn head(&self) -> Option<Head> {
        let head = self.inner.lock().head_at?;
        Some(Head {
            age: head.at.elapsed(),
            unix_ms: head.unix_ms,
        })
    }

    pub(crate) fn removed(&self) -> bool {
        self.inner.lock().removed
    }

    /// Notes that this node is a member or is not; says whether that is news.
    pub(crate) fn set_removed(&self, removed: bool) -> bool {
        let was = std::mem::replace(&mut self.inner.lock().removed, removed);
        if was != removed {
            self.changed.send_replace(());
        }
        was != removed
    }

    pub(crate) fn draining(&self) -> bool {
        self.inner.lock().draining
    }

    pub(crate) fn drain(&self) {
        self.inner.lock().draining = true;
        self.changed.send_replace(());
    }

    /// Until it is dropped, no appends are taken.
    pub(crate) fn hold(&self) -> Hold<'_> {
        self.inner.lock().holds += 1;
        Hold(self)
    }

    /// Whether appends are to be refused here: the leadership is on its way.
    pub(crate) fn held(&self) -> bool {
        let inner = self.inner.lock();
        inner.draining || inner.holds > 0
    }

    pub(crate) fn successor(&self) -> Option<String> {
        self.inner.lock().successor.clone()
    }

    pub(crate) fn set_successor(&self, address: Option<String>) {
        self.inner.lock().successor = address;
    }

    /// The node has ended, or must; the first reason stands.
    pub(crate) fn end(&self, reason: &str, failed: bool) {
        let mut inner = self.inner.lock();
        if inner.ended.is_none() {
            inner.ended = Some(reason.to_owned());
            inner.failed = failed;
        }
        drop(inner);
        self.changed.send_replace(());
    }

    pub(crate) fn ended(&self) -> Option<String> {
        self.inner.lock().ended.clone()
    }

    /// Why the node could not go on.
    pub(crate) fn failure(&self) -> Option<String> {
        let inner = self.inner.lock();
        inner.ended.clone().filter(|_| inner.failed)
    }

    /// Why readers should go elsewhere, if they should.
    pub(crate) fn unready(&self, contact_max: Duration) -> Option<String> {
        let inner = self.inner.lock();
        if let Some(reason) = &inner.ended {
            return Some(reason.clone());
        }
        if inner.removed {
            return Some("this node was removed from the cluster".into());
        }
        if inner.cluster.is_none() {
            return Some("no history has begun here; initialise the cluster or join one".into());
        }
        let Some(head) = inner.head_at else {
            return Some("this node has not caught up since it started".into());
        };
        let age = head.at.elapsed();
        (age > contact_max).then(|| {
            format!(
                "this node has not stood at the cluster's head for {} ms",
                age.as_millis()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(60);

    fn begun() -> Standing {
        Standing::new(Some(ClusterId(1)), Some(10))
    }

    #[test]
    fn a_node_is_fresh_when_it_has_what_a_leader_committed() {
        let standing = begun();
        assert!(standing.unready(MAX).is_some(), "nothing was confirmed yet");
        standing.confirmed(Some(12), Duration::ZERO);
        assert!(standing.head().is_none(), "it lacks two entries");
        standing.applied_to(11);
        assert!(standing.head().is_none(), "it lacks one entry");
        standing.applied_to(12);
        assert_eq!(standing.unready(MAX), None);
    }

    #[test]
    fn freshness_dates_from_the_quorum_not_from_the_message() {
        let standing = begun();
        let hour = Duration::from_secs(3600);
        standing.confirmed(Some(10), hour);
        assert!(standing.head().is_some_and(|head| head.age >= hour));
        assert!(standing.unready(MAX).is_some());
        standing.confirmed(Some(10), Duration::ZERO);
        standing.confirmed(Some(10), hour);
        assert_eq!(
            standing.unready(MAX),
            None,
            "an older message made it older"
        );
    }

    #[test]
    fn appends_are_held_back_until_the_last_hold_ends() {
        let standing = begun();
        assert!(!standing.held());
        let (one, other) = (standing.hold(), standing.hold());
        drop(one);
        assert!(standing.held(), "the other still holds");
        drop(other);
        assert!(!standing.held());
        standing.drain();
        drop(standing.hold());
        assert!(standing.held(), "it drains");
    }

    #[test]
    fn the_first_reason_to_end_stands() {
        let standing = begun();
        standing.end("shut down", false);
        standing.end("the disk failed", true);
        assert_eq!(standing.ended().as_deref(), Some("shut down"));
        assert_eq!(standing.failure(), None);
    }
}
