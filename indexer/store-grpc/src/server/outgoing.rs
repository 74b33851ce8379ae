//! Messages in the making: small changes together, large ones divided.

use std::sync::Arc;

use indexer_store::WatchItem;
use proto_api::v1;
use proto_api::v1::watch_response::Item;
use proto_model::{Delta, Revision};

use crate::convert::{item, response, weight};

/// Revisions after which a message is closed however small they are, so that
/// making one never takes long.
const REVISIONS_MAX: usize = 256;

/// A message and about its size in bytes.
pub(super) type Sized = (v1::WatchResponse, usize);

/// Takes items, gives messages, in the same order.
///
/// A message has several whole revisions, or a part of one: a reader that has
/// taken a message without `more` stands at a revision with all of it.
pub(super) struct Outgoing {
    bytes_max: usize,
    /// Whole revisions that wait for more of them.
    gathered: Option<v1::Changes>,
    gathered_bytes: usize,
    revisions: usize,
    /// A revision that is sent in parts.
    divided: Option<Divided>,
    /// What comes after those.
    last: Option<v1::WatchResponse>,
}

struct Divided {
    revision: Revision,
    applied_at_ms: u64,
    deltas: Arc<[Delta]>,
    sent: usize,
}

impl Outgoing {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            gathered: None,
            gathered_bytes: 0,
            revisions: 0,
            divided: None,
            last: None,
        }
    }

    /// Whether another item may be put in before what is there is sent.
    pub(super) fn has_room(&self) -> bool {
        self.divided.is_none()
            && self.last.is_none()
            && self.revisions < REVISIONS_MAX
            && self.gathered_bytes < self.bytes_max
    }

    /// Adds the next item. Only where there is room.
    pub(super) fn push(&mut self, next: WatchItem) {
        if let Some(message) = item(&next) {
            self.last = Some(message);
            return;
        }
        let WatchItem::Deltas {
            revision,
            applied_at_ms,
            deltas,
        } = next
        else {
            return;
        };
        let bytes = deltas.iter().map(weight).sum::<usize>();
        if self.gathered_bytes + bytes > self.bytes_max {
            self.divided = Some(Divided {
                revision,
                applied_at_ms,
                deltas,
                sent: 0,
            });
            return;
        }
        let changes = self.gathered.get_or_insert_default();
        (changes.revision, changes.applied_at_ms) = (revision.0, applied_at_ms);
        changes.deltas.extend(deltas.iter().map(v1::Delta::from));
        self.gathered_bytes += bytes;
        self.revisions += 1;
    }

    /// The next message, if there is anything to send.
    pub(super) fn pop(&mut self) -> Option<Sized> {
        if let Some(changes) = self.gathered.take() {
            let bytes = std::mem::take(&mut self.gathered_bytes);
            self.revisions = 0;
            return Some((response(Item::Changes(changes)), bytes));
        }
        if let Some(divided) = &mut self.divided {
            let part = divided.part(self.bytes_max);
            if divided.sent == divided.deltas.len() {
                self.divided = None;
            }
            return Some(part);
        }
        let last = self.last.take()?;
        let bytes = match &last.item {
            Some(Item::Snapshot(piece)) => piece_bytes(piece),
            _ => 16,
        };
        Some((last, bytes))
    }
}

impl Divided {
    fn part(&mut self, bytes_max: usize) -> Sized {
        let rest = &self.deltas[self.sent..];
        let mut bytes = 0;
        let fits = |delta: &&Delta| {
            let before = bytes;
            bytes += weight(delta);
            before == 0 || bytes <= bytes_max
        };
        let part: Vec<_> = rest.iter().take_while(fits).map(v1::Delta::from).collect();
        self.sent += part.len();
        let changes = v1::Changes {
            revision: self.revision.0,
            applied_at_ms: self.applied_at_ms,
            deltas: part,
            more: self.sent < self.deltas.len(),
        };
        (response(Item::Changes(changes)), bytes)
    }
}

fn piece_bytes(piece: &v1::SnapshotPiece) -> usize {
    use v1::delta::Change;
    let keys = |delta: &v1::Delta| match &delta.change {
        Some(Change::Stored(blocks) | Change::Removed(blocks)) => 8 * blocks.keys.len(),
        _ => 0,
    };
    piece.deltas.iter().map(|delta| 64 + keys(delta)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto_model::{BlockKey, Holder, Medium};

    fn stored(keys: std::ops::Range<u64>) -> Delta {
        Delta::Stored {
            holder: Holder(1),
            medium: Medium::Gpu,
            keys: keys.map(BlockKey).collect(),
        }
    }

    fn changes(revision: u64, deltas: Vec<Delta>) -> WatchItem {
        WatchItem::Deltas {
            revision: Revision(revision),
            applied_at_ms: revision,
            deltas: deltas.into(),
        }
    }

    /// Revision, number of deltas, and whether there is more.
    fn pop(outgoing: &mut Outgoing) -> Option<(u64, usize, bool)> {
        let (message, _) = outgoing.pop()?;
        let Some(Item::Changes(changes)) = message.item else {
            panic!("changes were put in");
        };
        Some((changes.revision, changes.deltas.len(), changes.more))
    }

    #[test]
    fn small_revisions_go_together_and_a_heartbeat_comes_after_them() {
        let mut outgoing = Outgoing::new(1 << 16);
        for revision in 1..=3 {
            assert!(outgoing.has_room());
            outgoing.push(changes(revision, vec![stored(0..2)]));
        }
        outgoing.push(WatchItem::Heartbeat {
            revision: Revision(3),
            at_ms: 9,
        });
        assert!(!outgoing.has_room(), "nothing may overtake the heartbeat");
        assert_eq!(pop(&mut outgoing), Some((3, 3, false)));
        let (last, _) = outgoing.pop().expect("the heartbeat");
        assert!(matches!(last.item, Some(Item::Heartbeat(_))));
        assert!(outgoing.pop().is_none());
    }

    #[test]
    fn a_large_revision_comes_in_parts_after_what_was_before_it() {
        let mut outgoing = Outgoing::new(1000);
        outgoing.push(changes(1, vec![stored(0..2)]));
        outgoing.push(changes(2, (0..5).map(|_| stored(0..50)).collect()));
        assert!(!outgoing.has_room());
        assert_eq!(pop(&mut outgoing), Some((1, 1, false)));
        assert_eq!(pop(&mut outgoing), Some((2, 2, true)));
        assert_eq!(pop(&mut outgoing), Some((2, 2, true)));
        assert_eq!(pop(&mut outgoing), Some((2, 1, false)));
        assert!(outgoing.pop().is_none());
        assert!(outgoing.has_room());
    }

    #[test]
    fn a_delta_beyond_the_bound_goes_alone_and_nothing_is_lost() {
        let mut outgoing = Outgoing::new(10);
        outgoing.push(changes(1, vec![stored(0..500), stored(0..1)]));
        assert_eq!(pop(&mut outgoing), Some((1, 1, true)));
        assert_eq!(pop(&mut outgoing), Some((1, 1, false)));
        outgoing.push(changes(2, vec![]));
        assert_eq!(pop(&mut outgoing), Some((2, 0, false)));
    }

    #[test]
    fn many_empty_revisions_do_not_gather_for_ever() {
        let mut outgoing = Outgoing::new(1 << 20);
        let mut revision = 0;
        while outgoing.has_room() {
            revision += 1;
            outgoing.push(changes(revision, vec![]));
        }
        assert_eq!(revision, REVISIONS_MAX as u64);
    }
}
