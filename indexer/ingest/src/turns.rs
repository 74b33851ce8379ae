//! Letting other threads have a turn.
//!
//! A thread that never waits keeps its core until the system's next tick, which is
//! milliseconds. In a process that also answers questions, a thread that has just
//! been woken to answer one would wait for that.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The least that a thread works on before others have a turn. Who only answers
/// questions takes less.
const SHORTEST: Duration = Duration::from_micros(200);
/// The most that it works on, whoever else is busy.
const LONGEST: Duration = Duration::from_millis(1);
/// Its turn is this part of the one that others had before: a little less than the
/// third that the nice value of threads that ingest entitles it to.
const SHARE: u32 = 4;

/// What a thread works on for until others have a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    began: Instant,
    length: Duration,
}

impl Turn {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= self.length
    }

    /// The turn after one that others have had. The longer theirs, the longer this
    /// one: beside busy processes, which use what they are given to the end, always
    /// short ones would leave this thread little of its core.
    fn after(others_began: Instant, now: Instant) -> Self {
        let theirs = now.saturating_duration_since(others_began);
        Self {
            began: now,
            length: (theirs / SHARE).clamp(SHORTEST, LONGEST),
        }
    }
}

thread_local! {
    static TURN: Cell<Option<Turn>> = const { Cell::new(None) };
}

/// Gives this thread's core to others that wait for it, if its turn has been long
/// enough.
pub(crate) fn next_turn() {
    let now = Instant::now();
    if TURN.get().is_none_or(|turn| turn.is_over(now)) {
        std::thread::yield_now();
        TURN.set(Some(Turn::after(now, Instant::now())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_a_quarter_of_the_others_within_bounds() {
        let given = Instant::now();
        let length = |theirs: Duration| Turn::after(given, given + theirs).length;
        assert_eq!(length(Duration::ZERO), SHORTEST);
        assert_eq!(length(Duration::from_micros(50)), SHORTEST);
        assert_eq!(length(Duration::from_millis(2)), Duration::from_micros(500));
        assert_eq!(length(Duration::from_secs(1)), LONGEST);
    }

    #[test]
    fn a_turn_ends_when_its_time_has_passed_and_not_before() {
        let now = Instant::now();
        let turn = Turn::after(now, now);
        assert!(!turn.is_over(now));
        assert!(!turn.is_over(now + SHORTEST / 2));
        assert!(turn.is_over(now + SHORTEST));
    }

    #[test]
    fn within_its_turn_a_thread_keeps_its_core_and_the_turn_goes_on() {
        let long_turn = Turn {
            began: Instant::now(),
            length: Duration::from_secs(3600),
        };
        TURN.set(Some(long_turn));
        next_turn();
        assert_eq!(TURN.get(), Some(long_turn));
        // One that is over is followed by another.
        let over = Turn {
            length: Duration::ZERO,
            ..long_turn
        };
        TURN.set(Some(over));
        next_turn();
        let next = TURN.get().expect("a turn");
        assert!(next.began >= over.began && next.length >= SHORTEST);
    }
}
