//! The log, as openraft wants it.
//!
//! What is appended can be read at once, from memory, and is acknowledged when it
//! is durable. Recent entries stay in memory; older ones are read from the disk.

mod index;
mod piece;
mod read;
mod scan;
mod storage;
mod tail;

use openraft::{Entry, EntryPayload, LogId};

pub(crate) use self::index::{Index, SlotsOf};
pub(crate) use self::piece::{PIECE, encode, pieces};
pub(crate) use self::scan::LogScan;
pub(crate) use self::tail::Tail;
use crate::disk::Disk;
use crate::types::{NodeId, Proposal, TypeConfig};

/// What an entry costs beside its batches, in memory and on disk.
pub(crate) const ENTRY_OVERHEAD: usize = 256;

/// The log of one node.
#[derive(Debug)]
pub struct LogStore {
    disk: Disk,
}

/// Reads the log; one per replication stream.
#[derive(Debug, Clone)]
pub struct LogReader {
    disk: Disk,
}

impl LogStore {
    pub(crate) fn new(disk: Disk) -> Self {
        Self { disk }
    }

    fn reader(&self) -> LogReader {
        LogReader {
            disk: self.disk.clone(),
        }
    }
}

/// About how many bytes an entry takes.
pub(crate) fn weight(entry: &Entry<TypeConfig>) -> usize {
    let content = match &entry.payload {
        EntryPayload::Normal(Proposal::Batches(batches)) => {
            batches.iter().map(|batch| batch.len() + 32).sum()
        }
        _ => 0,
    };
    content + ENTRY_OVERHEAD
}

/// The index after this entry, 0 before any.
pub(crate) fn next_index(last: Option<&LogId<NodeId>>) -> u64 {
    last.map_or(0, |id| id.index.saturating_add(1))
}
