//! What waits to be appended, and what waits for a replay to end.

use std::collections::VecDeque;

use crate::entry::Entry;

/// One thing to append, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Entry(Entry),
    Gap {
        next: u64,
    },
    Reset,
    /// What was appended may not follow on what there is.
    Doubt,
}

/// A queue that knows its size in bytes.
#[derive(Debug, Default)]
pub(super) struct Ready {
    steps: VecDeque<Step>,
    bytes: usize,
}

impl Ready {
    pub(super) fn push_back(&mut self, step: Step) {
        self.bytes += bytes(&step);
        self.steps.push_back(step);
    }

    pub(super) fn push_front(&mut self, step: Step) {
        self.bytes += bytes(&step);
        self.steps.push_front(step);
    }

    pub(super) fn front(&self) -> Option<&Step> {
        self.steps.front()
    }

    pub(super) fn pop_front(&mut self) -> Option<Step> {
        let step = self.steps.pop_front()?;
        self.bytes = self.bytes.saturating_sub(bytes(&step));
        Some(step)
    }

    pub(super) fn take(&mut self) -> VecDeque<Step> {
        self.bytes = 0;
        std::mem::take(&mut self.steps)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the next entries, at most so many messages and bytes, but always
    /// at least one.
    pub(super) fn take_entries(&mut self, messages: usize, bytes: usize) -> Vec<Entry> {
        let (mut taken, mut size) = (Vec::new(), 0);
        while let Some(Step::Entry(entry)) = self.front() {
            size += entry.bytes();
            if !taken.is_empty() && (taken.len() >= messages || size > bytes) {
                break;
            }
            if let Some(Step::Entry(entry)) = self.pop_front() {
                taken.push(entry);
            }
        }
        taken
    }
}

fn bytes(step: &Step) -> usize {
    if let Step::Entry(entry) = step {
        entry.bytes()
    } else {
        0
    }
}

/// Live messages that wait for a replay to end.
#[derive(Debug, Default)]
pub(super) struct Held {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Held {
    /// Keeps the entry if there is room. The newest are the ones to drop: what
    /// comes after them shows the gap again, and another replay fills it.
    pub(super) fn push(&mut self, entry: Entry, messages: usize, room: bool) -> bool {
        if !room || self.entries.len() >= messages {
            return false;
        }
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        true
    }

    pub(super) fn take(&mut self) -> VecDeque<Entry> {
        self.bytes = 0;
        std::mem::take(&mut self.entries)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The highest sequence that is held.
    pub(super) fn newest(&self) -> Option<u64> {
        self.entries
            .iter()
            .map(|entry| entry.message.sequence)
            .max()
    }

    /// Whether the engine is known to have published `sequence` or later.
    pub(super) fn reaches(&self, sequence: u64) -> bool {
        self.newest().is_some_and(|newest| newest >= sequence)
    }
}
