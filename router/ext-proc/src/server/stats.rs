//! What happened on all streams, as plain numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Count, RefusedKind};

/// A number that grows and shrinks.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// How many now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn sub(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    /// Adds unless that is above `most`.
    pub(super) fn add_within(&self, more: u64, most: u64) -> bool {
        let grown = |now: u64| now.checked_add(more).filter(|grown| *grown <= most);
        let update = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        update.is_ok()
    }
}

/// Counts of one server.
#[derive(Debug, Default)]
pub struct StreamStats {
    /// Streams that are open.
    pub streams_open: Gauge,
    /// Bytes of requests that wait for their decision, of messages that are not whole
    /// yet, and of response bodies that the gateway has not taken back.
    pub bytes_buffered: Gauge,
    /// Streams that were taken.
    pub streams: Count,
    /// Streams over the limit, answered with 503 at once; not among the refused.
    pub streams_over_limit: Count,
    /// Requests that got an endpoint.
    pub routed: Count,
    refused: [Count; RefusedKind::ALL.len()],
    /// Decisions that did not come in time; also among the refused.
    pub decisions_late: Count,
    /// Decisions that panicked; also among the refused.
    pub panics: Count,
    /// Responses that passed to their last byte.
    pub completed: Count,
    /// Routed requests whose client, engine or gateway left before the end.
    pub cancelled: Count,
    /// Routed requests whose response the gateway did not show.
    pub unseen: Count,
    /// Decisions dropped before they came: the client left, the gateway answered
    /// itself, or they were late.
    pub abandoned: Count,
    /// Responses with `usage`.
    pub usages: Count,
    /// Entries of subset hints that could not be read.
    pub subset_entries_ignored: Count,
    /// Streams ended with a gRPC error: gateways that are not set up as they must
    /// be.
    pub violations: Count,
}

impl StreamStats {
    /// Requests refused for this reason.
    #[must_use]
    pub fn refused(&self, kind: RefusedKind) -> &Count {
        &self.refused[kind as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_apart() {
        let stats = StreamStats::default();
        for (position, kind) in RefusedKind::ALL.into_iter().enumerate() {
            stats.refused(kind).add(position as u64 + 1);
        }
        let counts = RefusedKind::ALL.map(|kind| stats.refused(kind).get());
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_gauge_keeps_its_limit() {
        let gauge = Gauge::default();
        assert!(gauge.add_within(6, 10));
        assert!(!gauge.add_within(5, 10));
        assert!(!gauge.add_within(u64::MAX, 10));
        assert!(gauge.add_within(4, 10));
        gauge.sub(10);
        assert_eq!(gauge.get(), 0);
    }
}
