//! Files are believed when they hold still. Has no clock.
//!
//! Two readings that hold the same may both have been made between two halves of
//! a write, so the files' stamps have to be the same too: then nothing was
//! written from the first reading to the second.

use std::time::Duration;

use tokio::time::Instant;

use super::read::Seen;

/// What one more reading says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The same as the reading before.
    Still,
    /// Another one: read again soon.
    Moving,
    /// The patience has just ended; told once, until they hold still.
    Restless,
}

/// Whether the files hold still.
#[derive(Debug)]
pub(super) struct Settling {
    patience: Duration,
    last: Option<Seen>,
    since: Option<Instant>,
    told: bool,
}

impl Settling {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            last: None,
            since: None,
            told: false,
        }
    }

    /// No reading waits for another one that is the same.
    pub(super) fn is_calm(&self) -> bool {
        self.since.is_none()
    }

    pub(super) fn look(&mut self, now: Instant, reading: &Seen) -> Look {
        if self.last.as_ref() == Some(reading) {
            *self = Self::new(self.patience);
            return Look::Still;
        }
        self.last = Some(reading.clone());
        let since = *self.since.get_or_insert(now);
        if self.told || now.saturating_duration_since(since) < self.patience {
            return Look::Moving;
        }
        self.told = true;
        Look::Restless
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::SystemTime;

    use super::super::read::{Held, Stamp};
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn reading(text: &str, written: u64) -> Seen {
        Ok(vec![Held {
            path: PathBuf::from("e.yaml"),
            bytes: text.as_bytes().into(),
            stamp: Stamp {
                file: 1,
                modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(written)),
            },
        }])
    }

    #[test]
    fn the_same_text_of_another_write_is_not_still() {
        let now = Instant::now();
        let mut settling = Settling::new(PATIENCE);
        for write in 0..100 {
            assert_eq!(settling.look(now, &reading("half", write)), Look::Moving);
            assert!(!settling.is_calm());
        }
        assert_eq!(settling.look(now, &reading("half", 99)), Look::Still);
        assert!(settling.is_calm());
    }

    #[test]
    fn restless_files_are_told_once_and_again_after_they_held_still() {
        let start = Instant::now();
        let mut settling = Settling::new(PATIENCE);
        for _ in 0..2 {
            assert_eq!(settling.look(start, &reading("a", 1)), Look::Moving);
            let later = start + PATIENCE;
            assert_eq!(settling.look(later, &reading("b", 2)), Look::Restless);
            assert_eq!(settling.look(later, &reading("a", 3)), Look::Moving);
            assert_eq!(settling.look(later, &reading("a", 3)), Look::Still);
        }
    }
}
