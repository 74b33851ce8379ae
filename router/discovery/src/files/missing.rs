//! Files that are no longer there. Has no clock.
//!
//! A file that vanishes may be on its way to another place, or have been removed
//! by mistake, so what it held last stays for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::read::Held;

/// Which of the files that were taken are missing, and since when.
#[derive(Debug)]
pub(super) struct Missing {
    grace: Duration,
    since: BTreeMap<PathBuf, Instant>,
    /// When the next of those that are kept has been missing long enough.
    next: Option<Instant>,
}

/// The files that are missing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    /// For less than the grace period, as they were.
    pub(super) kept: Vec<Held>,
    /// For longer.
    pub(super) given_up: Vec<PathBuf>,
}

impl Missing {
    pub(super) fn new(grace: Duration) -> Self {
        Self {
            grace,
            since: BTreeMap::new(),
            next: None,
        }
    }

    /// Compares what was taken last with what is there.
    pub(super) fn look(&mut self, now: Instant, taken: &[Held], there: &[Held]) -> Gone {
        let there: BTreeSet<&Path> = there.iter().map(|held| held.path.as_path()).collect();
        let mut gone = Gone::default();
        let mut since = BTreeMap::new();
        self.next = None;
        for held in taken {
            if there.contains(held.path.as_path()) {
                continue;
            }
            let first = self.since.get(&held.path).copied().unwrap_or(now);
            since.insert(held.path.clone(), first);
            let end = first + self.grace;
            if end <= now {
                gone.given_up.push(held.path.clone());
            } else {
                gone.kept.push(held.clone());
                self.next = Some(self.next.map_or(end, |next| next.min(end)));
            }
        }
        self.since = since;
        gone
    }

    /// A file that was kept has been missing long enough by now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::Stamp;
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    fn held(path: &str) -> Held {
        Held {
            path: PathBuf::from(path),
            bytes: path.as_bytes().into(),
            stamp: Stamp {
                file: 1,
                modified: None,
            },
        }
    }

    #[test]
    fn a_missing_file_is_kept_for_the_grace_period_and_then_given_up() {
        let start = Instant::now();
        let mut missing = Missing::new(GRACE);
        let taken = [held("a"), held("b")];
        assert_eq!(missing.look(start, &taken, &taken), Gone::default());
        assert!(!missing.is_due(start + GRACE));
        let there = [held("b")];
        assert_eq!(missing.look(start, &taken, &there).kept, [held("a")]);
        assert!(!missing.is_due(start + GRACE / 2));
        assert!(missing.is_due(start + GRACE));
        let gone = missing.look(start + GRACE, &taken, &there);
        assert!(gone.kept.is_empty());
        assert_eq!(gone.given_up, [PathBuf::from("a")]);
        assert!(!missing.is_due(start + GRACE * 2), "told once");
    }

    #[test]
    fn a_file_that_comes_back_is_not_missing() {
        let start = Instant::now();
        let mut missing = Missing::new(GRACE);
        let taken = [held("a")];
        missing.look(start, &taken, &[]);
        missing.look(start + GRACE / 2, &taken, &taken);
        assert!(!missing.is_due(start + GRACE));
        let gone = missing.look(start + GRACE, &taken, &[]);
        assert_eq!(gone.kept, [held("a")]);
    }
}
