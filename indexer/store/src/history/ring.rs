//! The recent past: deltas by revision, bounded in bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use proto_model::{Delta, Revision};

use crate::weight::deltas_weight;

/// What one batch changed.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    pub(crate) revision: Revision,
    pub(crate) applied_at_ms: u64,
    pub(crate) deltas: Arc<[Delta]>,
    bytes: usize,
}

/// Items with consecutive revisions: `floor + 1 ..= head`.
#[derive(Debug)]
pub(crate) struct Ring {
    items: VecDeque<Applied>,
    floor: Revision,
    bytes: usize,
    bytes_max: usize,
}

/// What comes after a place in the history.
#[derive(Debug)]
pub(crate) enum After {
    /// This.
    Next(Applied),
    /// Nothing yet.
    AtHead,
    /// It is not known any more, or never was.
    Unknown,
}

impl Ring {
    /// Empty, at `at`.
    pub(crate) fn new(at: Revision, bytes_max: usize) -> Self {
        Self {
            items: VecDeque::new(),
            floor: at,
            bytes: 0,
            bytes_max,
        }
    }

    pub(crate) fn head(&self) -> Revision {
        Revision(self.floor.0 + self.items.len() as u64)
    }

    /// The oldest place that one can go on from.
    pub(crate) fn floor(&self) -> Revision {
        self.floor
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn last_applied_at_ms(&self) -> u64 {
        self.items.back().map_or(0, |item| item.applied_at_ms)
    }

    /// Adds the next revision, and forgets old ones to stay in bounds; even the
    /// new one, if it alone is too large.
    pub(crate) fn push(&mut self, applied_at_ms: u64, deltas: Vec<Delta>) -> Revision {
        let revision = Revision(self.head().0 + 1);
        let bytes = size_of::<Applied>() + deltas_weight(&deltas);
        self.items.push_back(Applied {
            revision,
            applied_at_ms,
            deltas: deltas.into(),
            bytes,
        });
        self.bytes += bytes;
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.items.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes;
            self.floor = oldest.revision;
        }
        revision
    }

    /// Forgets everything, and goes on from `at`. The clock does not go back.
    pub(crate) fn restart(&mut self, at: Revision) {
        self.items.clear();
        (self.floor, self.bytes) = (at, 0);
    }

    pub(crate) fn after(&self, revision: Revision) -> After {
        let Some(index) = revision.0.checked_sub(self.floor.0) else {
            return After::Unknown;
        };
        let next = usize::try_from(index)
            .ok()
            .and_then(|index| self.items.get(index));
        match next {
            Some(applied) => After::Next(applied.clone()),
            None if revision == self.head() => After::AtHead,
            None => After::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_and_knows_it() {
        let item = size_of::<Applied>();
        let mut ring = Ring::new(Revision(10), 2 * item);
        assert!(matches!(ring.after(Revision(10)), After::AtHead));
        for revision in 11..=13 {
            assert_eq!(ring.push(revision, Vec::new()), Revision(revision));
        }
        assert_eq!((ring.floor(), ring.head()), (Revision(11), Revision(13)));
        assert!(matches!(ring.after(Revision(10)), After::Unknown));
        let After::Next(next) = ring.after(Revision(11)) else {
            panic!("12 is there")
        };
        assert_eq!(next.revision, Revision(12));
        assert!(matches!(ring.after(Revision(13)), After::AtHead));
        assert!(matches!(ring.after(Revision(14)), After::Unknown));
    }

    #[test]
    fn an_item_beyond_the_bound_leaves_nothing_to_resume_from() {
        let mut ring = Ring::new(Revision(0), 1);
        ring.push(1, Vec::new());
        assert_eq!(
            (ring.floor(), ring.head(), ring.bytes()),
            (Revision(1), Revision(1), 0)
        );
    }
}
