//! From real time to the engine's and back.

use std::time::{Duration, Instant};

/// How far behind real time the engine may run before it gives up catching up.
/// Timers are coarser than the steps of a fast engine.
const LAG: Duration = Duration::from_millis(50);

/// The engine's time, which passes `speed` times as fast as real time; at speed 0
/// it passes only with the engine's own steps, at once.
#[derive(Debug)]
pub(crate) struct Clock {
    began: Instant,
    speed: f64,
    /// The end of the last step.
    reached: Duration,
}

impl Clock {
    pub(crate) fn new(speed: f64) -> Self {
        Self {
            began: Instant::now(),
            speed,
            reached: Duration::ZERO,
        }
    }

    /// The engine's time at a real moment.
    pub(crate) fn at(&self, moment: Instant) -> Duration {
        if self.speed <= 0.0 {
            return self.reached;
        }
        let real = moment.saturating_duration_since(self.began);
        real.mul_f64(self.speed)
    }

    /// When the next step begins: where the last one ended, if that is not long ago.
    pub(crate) fn next_step(&self, now: Instant) -> Duration {
        let real = self.at(now);
        let late = real.saturating_sub(self.reached);
        if late < LAG.mul_f64(self.speed.max(0.0)) {
            self.reached
        } else {
            real
        }
    }

    /// A step ends then. Gives the real moment, if it must be waited for.
    pub(crate) fn reach(&mut self, end: Duration) -> Option<Instant> {
        self.reached = self.reached.max(end);
        self.real(end)
    }

    /// The real moment of an engine's time; none at speed 0.
    pub(crate) fn real(&self, time: Duration) -> Option<Instant> {
        (self.speed > 0.0).then(|| self.began + time.div_f64(self.speed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other_although_timers_are_late() {
        let mut clock = Clock::new(100.0);
        let end = Duration::from_secs(1);
        let due = clock.reach(end).unwrap();
        assert_eq!(due, clock.began + Duration::from_millis(10));
        assert_eq!(clock.next_step(due + Duration::from_millis(3)), end);
        let much_later = due + Duration::from_secs(1);
        assert!(clock.next_step(much_later) > Duration::from_secs(100));
    }

    #[test]
    fn without_speed_only_steps_pass_time() {
        let mut clock = Clock::new(0.0);
        assert_eq!(clock.reach(Duration::from_secs(5)), None);
        assert_eq!(clock.next_step(Instant::now()), Duration::from_secs(5));
        assert_eq!(clock.at(Instant::now()), Duration::from_secs(5));
    }
}
