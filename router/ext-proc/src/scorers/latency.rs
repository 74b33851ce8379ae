//! How long answers take, by the size of the question: long prompts take longer
//! to cut into tokens, and that makes nobody slow.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Answers that are remembered per class.
const WINDOW: usize = 64;

/// Fewer say nothing.
const ENOUGH: usize = 16;

/// Upper bounds of the classes, in bytes; beyond is one more.
const CLASSES: [usize; 3] = [8 << 10, 64 << 10, 512 << 10];

/// The latest answers' durations.
#[derive(Debug, Default)]
pub(super) struct Latency {
    classes: [Mutex<Window>; CLASSES.len() + 1],
}

#[derive(Debug)]
struct Window {
    micros: [u32; WINDOW],
    seen: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            micros: [0; WINDOW],
            seen: 0,
        }
    }
}

impl Latency {
    /// Notes one answer to a question of `bytes`.
    pub(super) fn note(&self, bytes: usize, took: Duration) {
        let mut window = self.window(bytes);
        let place = window.seen % WINDOW;
        window.micros[place] = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        window.seen = window.seen.saturating_add(1);
    }

    /// What 19 of 20 latest answers kept below; `None` if there were too few.
    pub(super) fn p95(&self, bytes: usize) -> Option<Duration> {
        let (mut micros, seen) = {
            let window = self.window(bytes);
            (window.micros, window.seen.min(WINDOW))
        };
        if seen < ENOUGH {
            return None;
        }
        let known = &mut micros[..seen];
        let (_, p95, _) = known.select_nth_unstable(seen * 19 / 20);
        Some(Duration::from_micros(u64::from(*p95)))
    }

    fn window(&self, bytes: usize) -> std::sync::MutexGuard<'_, Window> {
        let class = CLASSES.iter().position(|bound| bytes <= *bound);
        self.classes[class.unwrap_or(CLASSES.len())]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slow_tail_of_a_class_is_told_and_classes_are_apart() {
        let latency = Latency::default();
        for millis in 1..=20 {
            latency.note(100, Duration::from_millis(millis));
        }
        latency.note(1 << 20, Duration::from_secs(3));
        assert_eq!(latency.p95(200), Some(Duration::from_millis(20)));
        assert_eq!(latency.p95(1 << 20), None, "one answer says nothing");
        for _ in 0..WINDOW {
            latency.note(100, Duration::from_millis(2));
        }
        assert_eq!(latency.p95(0), Some(Duration::from_millis(2)));
    }
}
