//! Entries that are no longer in memory.

use std::ops::Range;

use openraft::Entry;

use super::LogReader;
use super::piece::{Piece, decode};
use crate::disk::{Disk, DiskError};
use crate::types::TypeConfig;

impl LogReader {
    /// Entries of `[from, to)`, as many as are there, from memory and disk; after
    /// the first no more than `bytes`.
    pub(super) async fn entries(
        &self,
        from: u64,
        to: u64,
        bytes: usize,
    ) -> Result<Vec<Entry<TypeConfig>>, DiskError> {
        let mut found = Found {
            next: from,
            bytes,
            ..Found::default()
        };
        // Entries leave memory while others are read from disk: so more than once.
        while let Some(range) = self.take_remembered(&mut found, to) {
            let disk = self.disk.clone();
            let left = found.bytes.saturating_sub(found.taken);
            let read = move || read_range(&disk, range, left);
            let joined = tokio::task::spawn_blocking(read).await;
            let entries = joined.map_err(|error| DiskError::Damaged {
                what: format!("reading the log failed: {error}"),
            })??;
            if entries.is_empty() || !entries.into_iter().all(|entry| found.add(entry)) {
                break;
            }
        }
        Ok(found.entries)
    }

    /// Takes what is in memory, and says what must be read from disk next.
    fn take_remembered(&self, found: &mut Found, to: u64) -> Option<Range<u64>> {
        let memory = self.disk.shared.memory.lock();
        if found.entries.is_empty() {
            found.next = found.next.max(memory.first);
        }
        let to = to.min(super::next_index(memory.last.as_ref()));
        while found.next < to {
            let Some(entry) = memory.tail.get(found.next) else {
                let tail = memory.tail.first().filter(|first| *first > found.next);
                return Some(found.next..tail.unwrap_or(to).min(to));
            };
            if !found.add(entry.clone()) {
                break;
            }
        }
        None
    }
}

/// What a read has come to.
#[derive(Default)]
struct Found {
    entries: Vec<Entry<TypeConfig>>,
    next: u64,
    taken: usize,
    bytes: usize,
}

impl Found {
    /// `false` if there was no room.
    fn add(&mut self, entry: Entry<TypeConfig>) -> bool {
        self.taken = self.taken.saturating_add(super::weight(&entry));
        if self.taken > self.bytes && !self.entries.is_empty() {
            return false;
        }
        self.entries.push(entry);
        self.next += 1;
        true
    }
}

/// Reads entries from disk. Blocks.
fn read_range(
    disk: &Disk,
    range: Range<u64>,
    bytes: usize,
) -> Result<Vec<Entry<TypeConfig>>, DiskError> {
    let mut found = Vec::new();
    let mut taken = 0;
    for index in range {
        let Some(entry) = read_entry(disk, index)? else {
            break;
        };
        taken += super::weight(&entry);
        if taken > bytes && !found.is_empty() {
            break;
        }
        found.push(entry);
    }
    Ok(found)
}

/// Reads one entry; `None` if it is not, or no longer, in the log.
fn read_entry(disk: &Disk, index: u64) -> Result<Option<Entry<TypeConfig>>, DiskError> {
    let slots_of = || disk.shared.memory.lock().index.get(index).cloned();
    let Some(slots) = slots_of() else {
        return Ok(None);
    };
    match read_slots(disk, index, &slots) {
        Ok(entry) => Ok(Some(entry)),
        // Its slots may have been given to another entry meanwhile.
        Err(_) if slots_of().as_ref() != Some(&slots) => Ok(None),
        Err(what) => Err(DiskError::Damaged {
            what: format!("log entry {index}: {what}"),
        }),
    }
}

fn read_slots(disk: &Disk, index: u64, slots: &[u32]) -> Result<Entry<TypeConfig>, String> {
    let mut bytes = Vec::new();
    for (slot, number) in slots.iter().zip(0..) {
        let value = disk.shared.trees.log.get(slot.to_be_bytes());
        let value = value.map_err(|error| error.to_string())?;
        let value = value.ok_or_else(|| format!("slot {slot} is empty"))?;
        let piece =
            Piece::read(&value).ok_or_else(|| format!("the check of slot {slot} is wrong"))?;
        if (piece.index, piece.number) != (index, number) || piece.of as usize != slots.len() {
            return Err(format!(
                "slot {slot} holds piece {} of entry {}",
                piece.number, piece.index
            ));
        }
        bytes.extend_from_slice(piece.bytes);
    }
    decode(&bytes)
}
