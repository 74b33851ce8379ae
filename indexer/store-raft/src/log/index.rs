//! Where every entry on disk lies.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::ENTRY_OVERHEAD;

/// The slots of one entry, in order.
pub(crate) type SlotsOf = SmallVec<[u32; 2]>;

/// The slots of consecutive entries.
#[derive(Debug, Default)]
pub(crate) struct Index {
    first: u64,
    entries: VecDeque<(SlotsOf, u32)>,
    bytes: u64,
}

impl Index {
    /// An index whose first entry will be `first`.
    pub(crate) fn from(first: u64) -> Self {
        Self {
            first,
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Bytes of the entries, as stored.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The index after the last entry.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(crate) fn get(&self, index: u64) -> Option<&SlotsOf> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.entries.get(at).map(|(slots, _)| slots)
    }

    /// Adds the next entry, of `length` bytes.
    pub(crate) fn push(&mut self, slots: SlotsOf, length: usize) {
        let cost = u32::try_from(length + ENTRY_OVERHEAD).unwrap_or(u32::MAX);
        self.bytes += u64::from(cost);
        self.entries.push_back((slots, cost));
    }

    /// Takes the last entry away if it is `from` or later.
    pub(crate) fn pop_last(&mut self, from: u64) -> Option<SlotsOf> {
        if self.end() <= from {
            return None;
        }
        let (slots, cost) = self.entries.pop_back()?;
        self.bytes -= u64::from(cost);
        Some(slots)
    }

    /// Takes the first entry away if it is before `end`. Without entries the next
    /// one will be `end` at least.
    pub(crate) fn pop_first(&mut self, end: u64) -> Option<SlotsOf> {
        if self.first >= end {
            return None;
        }
        let Some((slots, cost)) = self.entries.pop_front() else {
            self.first = end;
            return None;
        };
        self.first += 1;
        self.bytes -= u64::from(cost);
        Some(slots)
    }
}
