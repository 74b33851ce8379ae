//! One publisher's routes of one kind.

use proto_model::{Delta, Holder, Timestamp};

use super::MEDIUM;
use super::keys::RouteKeys;
use crate::emit::Emit;

/// How long after its last route an empty table keeps its holder, in
/// microseconds. Holder numbers are used once: an endpoint that is asked now and
/// then must not use one up each time.
const EMPTY_FOR_MICROS: u64 = 600_000_000;

/// One publisher's routes of one kind.
#[derive(Debug, Clone)]
pub(crate) struct RouteTable {
    /// What readers know the table by.
    pub(crate) holder: Holder,
    /// The newest time of a recorded route.
    pub(crate) touched: Timestamp,
    pub(crate) keys: RouteKeys,
}

impl RouteTable {
    pub(crate) fn new(holder: Holder) -> Self {
        Self {
            holder,
            touched: Timestamp(0),
            keys: RouteKeys::default(),
        }
    }

    /// Whether [`Self::drop_expired`] or [`Self::is_over`] would find something.
    pub(super) fn is_due(&self, until: Timestamp) -> bool {
        self.keys.is_due(until.0) || self.is_over(until)
    }

    /// Whether the table has nothing and has been left alone for long.
    pub(super) fn is_over(&self, until: Timestamp) -> bool {
        let over = self.touched.0.saturating_add(EMPTY_FOR_MICROS);
        self.keys.len() == 0 && over <= until.0
    }

    /// Drops the keys that expire at or before `until`, in ascending order.
    pub(super) fn drop_expired(&mut self, until: Timestamp, deltas: &mut Vec<Delta>) {
        let gone = self.keys.expire(until.0);
        let mut emit = Emit::new(deltas, self.holder);
        gone.iter().for_each(|key| emit.removed(MEDIUM, *key));
        emit.flush();
    }

    /// Makes the keys the most recently used, the first one most of all, and
    /// drops the least recently used beyond `room`.
    pub(super) fn touch(
        &mut self,
        keys: impl DoubleEndedIterator<Item = u64>,
        expires_at: Option<Timestamp>,
        room: usize,
        deltas: &mut Vec<Delta>,
    ) {
        let mut new = Vec::new();
        for key in keys.rev() {
            if self.keys.touch(key, expires_at.map(|at| at.0)) {
                new.push(key);
            }
        }
        let evicted = self.keys.evict(self.keys.len().saturating_sub(room));
        let mut emit = Emit::new(deltas, self.holder);
        evicted.iter().for_each(|key| emit.removed(MEDIUM, *key));
        for key in new.into_iter().rev() {
            // Some of a prompt longer than the table are gone already.
            if self.keys.tell(key) {
                emit.stored(MEDIUM, key);
            }
        }
        emit.flush();
    }
}
