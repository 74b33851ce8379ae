//! A revision that came in parts, put together.

use std::sync::Arc;

use indexer_store::WatchItem;
use proto_api::v1;
use proto_model::{Delta, Revision};

use super::follow::Broken;
use crate::convert;

/// Parts of one revision.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    revision: u64,
    deltas: Vec<Delta>,
    bytes: usize,
}

impl Reassembly {
    /// Whether a revision has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        self.bytes > 0
    }

    /// Takes a message; gives the changes when they are complete.
    pub(super) fn add(
        &mut self,
        changes: v1::Changes,
        bytes: usize,
        bytes_max: usize,
    ) -> Result<Option<WatchItem>, Broken> {
        let (revision, applied_at_ms) = (changes.revision, changes.applied_at_ms);
        let whole = |deltas| WatchItem::Deltas {
            revision: Revision(revision),
            applied_at_ms,
            deltas,
        };
        if !changes.more && !self.is_open() {
            return Ok(Some(whole(convert::deltas(changes.deltas)?)));
        }
        if self.is_open() && self.revision != revision {
            return Err(Broken::OutOfPlace("a part of another revision"));
        }
        self.bytes = self.bytes.saturating_add(bytes.max(1));
        if self.bytes > bytes_max {
            return Err(Broken::RevisionTooLarge { limit: bytes_max });
        }
        self.revision = revision;
        for delta in changes.deltas {
            self.deltas.push(delta.try_into()?);
        }
        if changes.more {
            return Ok(None);
        }
        let complete = std::mem::take(self);
        Ok(Some(whole(Arc::from(complete.deltas))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(revision: u64, more: bool) -> v1::Changes {
        let removed = v1::delta::Change::HolderEnded(v1::HolderEnded { holder: 1 });
        v1::Changes {
            revision,
            applied_at_ms: 5,
            deltas: vec![v1::Delta {
                change: Some(removed),
            }],
            more,
        }
    }

    fn deltas_of(item: Option<WatchItem>) -> Option<(u64, usize)> {
        match item? {
            WatchItem::Deltas {
                revision, deltas, ..
            } => Some((revision.0, deltas.len())),
            item => panic!("{item:?} is no change"),
        }
    }

    #[test]
    fn parts_become_one_revision() {
        let mut parts = Reassembly::default();
        for more in [true, true] {
            let item = parts.add(part(7, more), 10, 100).expect("in order");
            assert_eq!(deltas_of(item), None);
        }
        assert!(parts.is_open());
        let item = parts.add(part(7, false), 10, 100).expect("in order");
        assert_eq!(deltas_of(item), Some((7, 3)));
        assert!(!parts.is_open());
        let item = parts.add(part(8, false), 10, 100).expect("in order");
        assert_eq!(deltas_of(item), Some((8, 1)));
    }

    #[test]
    fn another_revision_between_parts_and_too_much_are_refused() {
        let mut parts = Reassembly::default();
        parts.add(part(7, true), 10, 100).expect("in order");
        let error = parts.add(part(8, false), 10, 100).expect_err("between");
        assert!(matches!(error, Broken::OutOfPlace(_)), "{error}");
        let mut parts = Reassembly::default();
        parts.add(part(7, true), 60, 100).expect("in bounds");
        let error = parts.add(part(7, true), 60, 100).expect_err("too much");
        assert!(matches!(error, Broken::RevisionTooLarge { .. }), "{error}");
    }
}
