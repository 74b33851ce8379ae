//! When a scorer is left out, and when it is looked at again. Pure: time is given.

use std::time::{Duration, Instant};

/// The first pause of a scorer that is left out.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A scorer with so many points is left out.
const LIMIT: u32 = 12;

/// What went wrong, by how much it says about the scorer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It cannot be reached, or says that it serves nobody.
    Away,
    /// No answer in the time that a request has.
    Silent,
    /// Another scorer, asked later, answered first.
    Outrun,
}

impl Trouble {
    fn points(self) -> u32 {
        match self {
            Self::Away => LIMIT,
            Self::Silent => 4,
            Self::Outrun => 1,
        }
    }
}

/// One scorer's record. An answer clears it.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    points: u32,
    /// How often in a row it was left out without an answer in between.
    pauses: u32,
    out_until: Option<Instant>,
    probing: bool,
}

impl Breaker {
    /// Whether requests may go there.
    pub(super) fn is_closed(&self) -> bool {
        self.out_until.is_none()
    }

    /// It answered a request.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// Something went wrong. `jitter` is from 0 to 1. Returns whether the scorer
    /// is left out from now on.
    pub(super) fn failed(&mut self, trouble: Trouble, now: Instant, jitter: f64) -> bool {
        if self.out_until.is_some() {
            return false;
        }
        self.points = self.points.saturating_add(trouble.points());
        if self.points < LIMIT {
            return false;
        }
        self.leave_out(now, jitter);
        true
    }

    /// Whether it is time to look after a scorer that is left out; says so once
    /// per pause.
    pub(super) fn wants_probe(&mut self, now: Instant) -> bool {
        let due = !self.probing && self.out_until.is_some_and(|until| now >= until);
        self.probing |= due;
        due
    }

    /// What the look said. A scorer that is well gets requests again, but its next
    /// pause is longer, until it has answered one.
    pub(super) fn probed(&mut self, well: bool, now: Instant, jitter: f64) {
        self.probing = false;
        if self.out_until.is_none() {
            return;
        }
        if well {
            self.out_until = None;
            self.points = 0;
        } else {
            self.leave_out(now, jitter);
        }
    }

    fn leave_out(&mut self, now: Instant, jitter: f64) {
        let whole = FIRST_PAUSE
            .saturating_mul(1 << self.pauses.min(16))
            .min(LONGEST_PAUSE);
        self.pauses = self.pauses.saturating_add(1);
        self.out_until = Some(now + whole.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_be_reached_is_left_out_at_once_and_who_is_silent_after_three() {
        let now = Instant::now();
        let mut away = Breaker::default();
        assert!(away.failed(Trouble::Away, now, 1.0));
        assert!(!away.is_closed());
        let mut silent = Breaker::default();
        assert!(!silent.failed(Trouble::Silent, now, 1.0));
        assert!(!silent.failed(Trouble::Silent, now, 1.0));
        assert!(silent.is_closed());
        assert!(silent.failed(Trouble::Silent, now, 1.0));
        assert!(!silent.is_closed());
    }

    #[test]
    fn an_answer_clears_the_record() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            assert!(!breaker.failed(Trouble::Silent, now, 1.0));
            assert!(!breaker.failed(Trouble::Outrun, now, 1.0));
            breaker.answered();
        }
        assert!(breaker.is_closed());
    }

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_one_probe_each() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        breaker.failed(Trouble::Away, now, 1.0);
        let mut pause = FIRST_PAUSE;
        for _ in 0..20 {
            assert!(!breaker.wants_probe(now + pause - Duration::from_millis(1)));
            now += pause;
            assert!(breaker.wants_probe(now));
            assert!(!breaker.wants_probe(now), "one probe at a time");
            breaker.probed(false, now, 1.0);
            assert!(!breaker.is_closed());
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        assert!(breaker.wants_probe(now + LONGEST_PAUSE));
        breaker.probed(true, now, 1.0);
        assert!(breaker.is_closed());
    }

    #[test]
    fn who_is_well_but_does_not_answer_waits_longer_each_time() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        breaker.failed(Trouble::Away, now, 1.0);
        breaker.probed(true, now, 1.0);
        breaker.failed(Trouble::Away, now, 1.0);
        assert!(!breaker.wants_probe(now + FIRST_PAUSE));
        assert!(breaker.wants_probe(now + FIRST_PAUSE * 2));
    }
}
