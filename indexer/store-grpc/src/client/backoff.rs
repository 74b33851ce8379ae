//! How long to wait before trying again.

use std::time::Duration;

/// Doubles from `min` to `max`, less up to half at random, so that clients that
/// lost the same node do not come back at the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { next: min, max }
    }

    pub(super) fn delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).min(self.max);
        delay.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_within_its_bounds() {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));
        for most in [20, 40, 80, 160, 320, 500, 500] {
            let (delay, most) = (backoff.delay(), Duration::from_millis(most));
            assert!(delay <= most && delay >= most / 2, "{delay:?} of {most:?}");
        }
    }
}
