//! The last entries, in memory.

use std::collections::VecDeque;

use openraft::Entry;

use super::weight;
use crate::types::TypeConfig;

/// Consecutive entries up to the last one.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    entries: VecDeque<Entry<TypeConfig>>,
    bytes: usize,
}

impl Tail {
    /// The index of the first entry held.
    pub(crate) fn first(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.log_id.index)
    }

    pub(crate) fn get(&self, index: u64) -> Option<&Entry<TypeConfig>> {
        let at = usize::try_from(index.checked_sub(self.first()?)?).ok()?;
        self.entries.get(at)
    }

    pub(crate) fn push(&mut self, entry: Entry<TypeConfig>) {
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
    }

    /// Forgets entries from `from` on.
    pub(crate) fn truncate(&mut self, from: u64) {
        while self
            .entries
            .back()
            .is_some_and(|entry| entry.log_id.index >= from)
        {
            let gone = self.entries.pop_back();
            self.bytes -= gone.as_ref().map_or(0, weight);
        }
    }

    /// Forgets entries before `end`.
    pub(crate) fn purge(&mut self, end: u64) {
        while self.first().is_some_and(|first| first < end) {
            self.forget_first();
        }
    }

    /// Forgets the oldest ones before `durable` until at most `limit` bytes are held.
    pub(crate) fn shrink(&mut self, durable: u64, limit: usize) {
        while self.bytes > limit && self.first().is_some_and(|first| first < durable) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let gone = self.entries.pop_front();
        self.bytes -= gone.as_ref().map_or(0, weight);
    }
}
