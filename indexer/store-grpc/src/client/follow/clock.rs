//! How long the items of a node's watch were on the way.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indexer_store::WatchItem;
use tokio::time::Instant;

/// The smallest offset is that of this time and of as long before, so that it is
/// forgotten after one to two of it: clocks drift, and are set.
const WINDOW: Duration = Duration::from_secs(5 * 60);

/// One node's clock as seen over one watch of it.
///
/// The offset of an item is the time here when it was read, less the time that it
/// carries: the difference of the clocks, which nobody knows, and the time on the
/// way. The smallest offset seen stands for an item that took no time, so what an
/// item has beyond it is its delay. A delay that all items share cannot be told
/// from a difference of the clocks.
///
/// Time here is the monotonic clock's. Where it begins does not matter.
#[derive(Debug)]
pub(super) struct NodeClock {
    begin: Instant,
    /// Of the window before; none in the first one.
    before: Option<i64>,
    current: Option<Least>,
}

#[derive(Debug, Clone, Copy)]
struct Least {
    offset: i64,
    since: Instant,
}

impl NodeClock {
    /// For a new watch.
    pub(super) fn new() -> Self {
        Self {
            begin: Instant::now(),
            before: None,
            current: None,
        }
    }

    /// The item with the time that it carries as this process's clock would have
    /// shown it, as nearly as can be known.
    pub(super) fn translate(&mut self, item: WatchItem) -> WatchItem {
        match item {
            WatchItem::Deltas {
                revision,
                applied_at_ms,
                deltas,
            } => WatchItem::Deltas {
                revision,
                applied_at_ms: self.here(applied_at_ms),
                deltas,
            },
            WatchItem::Heartbeat { revision, at_ms } => WatchItem::Heartbeat {
                revision,
                at_ms: self.here(at_ms),
            },
            other => other,
        }
    }

    fn here(&mut self, at_ms: u64) -> u64 {
        // Zero is "not known", and stays so.
        if at_ms == 0 {
            return 0;
        }
        let delay = self.delay(Instant::now(), at_ms);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| milliseconds(now).unsigned_abs());
        now.saturating_sub(delay).max(1)
    }

    /// How many milliseconds longer than the fastest an item was on the way that
    /// was read at `now` and carries the node's `at_ms`.
    fn delay(&mut self, now: Instant, at_ms: u64) -> u64 {
        let here = milliseconds(now.saturating_duration_since(self.begin));
        let offset = here.saturating_sub(i64::try_from(at_ms).unwrap_or(i64::MAX));
        let fresh = Least { offset, since: now };
        let current = match self.current {
            None => fresh,
            Some(least) => match now.saturating_duration_since(least.since) {
                age if age < WINDOW => Least {
                    offset: least.offset.min(offset),
                    since: least.since,
                },
                age => {
                    self.before = (age < 2 * WINDOW).then_some(least.offset);
                    fresh
                }
            },
        };
        self.current = Some(current);
        let least = self
            .before
            .map_or(current.offset, |before| before.min(current.offset));
        offset.saturating_sub(least).unsigned_abs()
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items as (seconds here since the watch began, the node's milliseconds).
    fn delays<const N: usize>(items: [(f64, u64); N]) -> [u64; N] {
        let mut clock = NodeClock::new();
        let begin = clock.begin;
        items.map(|(seconds, at)| clock.delay(begin + Duration::from_secs_f64(seconds), at))
    }

    #[test]
    fn an_item_is_as_late_as_it_is_beyond_the_fastest() {
        let noon = 1_700_000_000_000;
        let items = [
            (0.005, noon),
            (1.002, noon + 1000),
            (5.0, noon + 2000),
            (5.0, noon + 4900),
            (6.002, noon + 6000),
        ];
        assert_eq!(delays(items), [0, 0, 2998, 98, 0]);
    }

    #[test]
    fn a_delay_that_was_there_from_the_beginning_cannot_be_seen() {
        assert_eq!(delays([(3.0, 10_000), (4.0, 11_000)]), [0, 0]);
        // But its end is, and from then on what it was.
        let items = [(3.0, 10_000), (4.0, 14_000), (8.0, 15_000)];
        assert_eq!(delays(items), [0, 0, 3000]);
    }

    #[test]
    fn a_clock_that_was_set_back_is_forgiven_after_some_minutes() {
        let hour = 3_600_000;
        let at = |second: u64| second * 1000 + 2 * hour;
        let items = [
            (1.0, at(1)),
            (2.0, at(2) - hour),
            (299.0, at(299) - hour),
            (302.0, at(302) - hour),
            (603.0, at(603) - hour),
            (904.0, at(904) - hour),
        ];
        assert_eq!(delays(items), [0, hour, hour, hour, 0, 0]);
        // Set forward, at once.
        let items = [(1.0, at(1)), (2.0, at(2) + hour), (3.0, at(3) + hour)];
        assert_eq!(delays(items), [0, 0, 0]);
    }

    #[test]
    fn what_carries_no_time_gets_none() {
        let beat = |at_ms| WatchItem::Heartbeat {
            revision: proto_model::Revision(1),
            at_ms,
        };
        let mut clock = NodeClock::new();
        assert_eq!(clock.translate(beat(0)), beat(0));
        assert_ne!(clock.translate(beat(5)), beat(5));
    }
}
