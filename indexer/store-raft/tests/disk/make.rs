//! Entries and disks to test with.

use std::path::Path;

use bytes::Bytes;
use indexer_store_raft::disk::{Disk, DiskOptions};
use indexer_store_raft::types::{NodeId, Proposal, TypeConfig};
use openraft::storage::RaftLogStorageExt;
use openraft::{CommittedLeaderId, Entry, EntryPayload, LogId, StorageError};

pub(crate) const NODE: NodeId = 3;

pub(crate) fn open(directory: &Path) -> Disk {
    Disk::open(directory, DiskOptions::default(), NODE).expect("the disk opens")
}

pub(crate) fn id(term: u64, index: u64) -> LogId<NodeId> {
    LogId::new(CommittedLeaderId::new(term, 1), index)
}

/// An entry whose content is known from its id, of about `length` bytes.
pub(crate) fn entry(term: u64, index: u64, length: usize) -> Entry<TypeConfig> {
    let mut state = term.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index;
    let mut content = Vec::with_capacity(length + 8);
    while content.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(length);
    let (first, second) = content.split_at(length / 3);
    let batches = vec![
        Bytes::copy_from_slice(first),
        Bytes::copy_from_slice(second),
    ];
    Entry {
        log_id: id(term, index),
        payload: EntryPayload::Normal(Proposal::Batches(batches)),
    }
}

/// A length that differs between entries: some empty, some of several pieces.
pub(crate) fn length(index: u64) -> usize {
    match index % 7 {
        0 => 0,
        1 => 100,
        2 => 70_000,
        3 => 24 * 1024,
        _ => usize::try_from(index % 5000).expect("small"),
    }
}

/// Appends entries of `range` and returns when they are durable.
pub(crate) async fn append(
    disk: &Disk,
    term: u64,
    range: std::ops::Range<u64>,
) -> Result<(), StorageError<NodeId>> {
    let entries: Vec<_> = range
        .map(|index| entry(term, index, length(index)))
        .collect();
    disk.log().blocking_append(entries).await
}
