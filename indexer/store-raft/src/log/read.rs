//! Entries that are no longer in memory.

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
        let (from, on_disk) = {
            let memory = self.disk.shared.memory.lock();
            let from = from.max(memory.first);
            let to = to.min(super::next_index(memory.last.as_ref()));
            let tail = memory.tail.first().map_or(to, |first| first.min(to));
            (from, from..tail)
        };
        let mut found = Vec::new();
        let mut taken = 0;
        if !on_disk.is_empty() {
            let disk = self.disk.clone();
            let read = move || read_range(&disk, on_disk, bytes);
            let joined = tokio::task::spawn_blocking(read).await;
            found = joined.map_err(|error| DiskError::Damaged {
                what: format!("reading the log failed: {error}"),
            })??;
            taken = found.iter().map(super::weight).sum();
        }
        let memory = self.disk.shared.memory.lock();
        let to = to.min(super::next_index(memory.last.as_ref()));
        for index in from + found.len() as u64..to {
            let Some(entry) = memory.tail.get(index) else {
                break;
            };
            taken += super::weight(entry);
            if taken > bytes && !found.is_empty() {
                break;
            }
            found.push(entry.clone());
        }
        Ok(found)
    }
}

/// Reads entries from disk. Blocks.
pub(crate) fn read_range(
    disk: &Disk,
    range: std::ops::Range<u64>,
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
