//! Reading the whole log when it is opened.

use std::collections::{BTreeMap, BTreeSet};

use super::index::SlotsOf;
use super::piece::{Piece, decode};
use super::{Index, next_index};
use crate::disk::Head;

/// What the slots hold.
#[derive(Debug, Default)]
pub(crate) struct LogScan {
    pub(crate) index: Index,
    /// Slots of entries in the log.
    pub(crate) used: BTreeSet<u32>,
    /// Every slot that has something, ascending.
    pub(crate) present: Vec<u32>,
    /// Slots of entries after the last one that the head knows of.
    pub(crate) unacknowledged: Vec<u32>,
}

/// The pieces of one entry, as found.
#[derive(Default)]
struct Found {
    slots: BTreeMap<u32, u32>,
    of: u32,
    write: u64,
    length: usize,
}

impl LogScan {
    /// Reads every slot, and checks that every entry from the head's first to its
    /// last is there, whole.
    pub(crate) fn read(log: &sled::Tree, head: &Head) -> Result<Self, String> {
        let mut scan = Self::default();
        let mut entries = BTreeMap::new();
        let end = next_index(head.last.as_ref());
        for item in log {
            let (key, value) = item.map_err(|error| error.to_string())?;
            let slot = key.as_ref().try_into().map(u32::from_be_bytes);
            let slot = slot.map_err(|_| format!("a slot has the key {key:?}"))?;
            let piece = Piece::read(&value)
                .ok_or_else(|| format!("the check of the log's slot {slot} is wrong"))?;
            if piece.index >= end {
                scan.unacknowledged.push(slot);
                continue;
            }
            scan.present.push(slot);
            if piece.index >= head.first {
                scan.used.insert(slot);
                entries
                    .entry(piece.index)
                    .or_insert_with(Found::default)
                    .add(slot, &piece)?;
            }
        }
        scan.index = index_of(entries, head)?;
        check_last(log, &scan.index, head)?;
        Ok(scan)
    }
}

impl Found {
    fn add(&mut self, slot: u32, piece: &Piece<'_>) -> Result<(), String> {
        let first = self.slots.is_empty();
        let agrees = (self.of, self.write) == (piece.of, piece.write);
        let twice = self.slots.insert(piece.number, slot).is_some();
        if twice || (!first && !agrees) {
            return Err(format!("log entry {} is there twice", piece.index));
        }
        (self.of, self.write) = (piece.of, piece.write);
        self.length += piece.bytes.len();
        Ok(())
    }
}

fn index_of(entries: BTreeMap<u64, Found>, head: &Head) -> Result<Index, String> {
    let mut index = Index::from(head.first);
    for (at, found) in entries {
        if at != index.end() {
            return Err(format!("log entry {} is missing", index.end()));
        }
        let whole = found.slots.keys().copied().eq(0..found.of);
        if !whole {
            return Err(format!("log entry {at} is incomplete"));
        }
        let slots: SlotsOf = found.slots.into_values().collect();
        index.push(slots, found.length);
    }
    let end = next_index(head.last.as_ref());
    if index.end().max(head.first) < end {
        return Err(format!("log entry {} is missing", index.end()));
    }
    Ok(index)
}

/// The last entry must be the very one that the head names.
fn check_last(log: &sled::Tree, index: &Index, head: &Head) -> Result<(), String> {
    let Some(last) = head.last.filter(|_| index.len() > 0) else {
        return Ok(());
    };
    let mut bytes = Vec::new();
    for slot in index.get(last.index).into_iter().flatten() {
        let value = log
            .get(slot.to_be_bytes())
            .map_err(|error| error.to_string())?;
        let piece = value.as_deref().and_then(Piece::read);
        let piece = piece.ok_or_else(|| format!("slot {slot} changed while it was read"))?;
        bytes.extend_from_slice(piece.bytes);
    }
    let found = decode(&bytes)?.log_id;
    if found != last {
        return Err(format!("the last log entry is {found}, not {last}"));
    }
    Ok(())
}
