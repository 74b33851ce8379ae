//! The writer: one thread through which everything durable goes, in order.
//!
//! ```text
//!  requests ──▶ [ all that wait ] ──▶ write pieces ──▶ write the head
//!                                         │
//!     answers ◀── marker ◀── fdatasync ◀── flush
//! ```
//!
//! After the first error nothing is written or acknowledged any more: what the disk
//! holds then is not known, and only a new start finds out.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use openraft::{Entry, LogId};
use tokio::sync::{mpsc, watch};

use super::Trees;
use super::error::DiskError;
use super::head::{self, Head};
use super::marker::Marker;
use super::memory::Memory;
use super::requests::Request;
use super::slots::Slots;
use crate::log::{Index, SlotsOf, encode, next_index, pieces};
use crate::types::{NodeId, TypeConfig};

/// Bytes after which a group is closed.
const GROUP_BYTES: usize = 8 << 20;

/// Requests after which a group is closed.
const GROUP_REQUESTS: usize = 256;

pub(super) struct Writer {
    pub(super) trees: Trees,
    /// The database's file. sled's flush hands its bytes to the device but does not
    /// make the device, or the file's length, durable.
    pub(super) file: File,
    pub(super) marker: Marker,
    pub(super) head: Head,
    pub(super) slots: Slots,
    pub(super) memory: Arc<Memory>,
    pub(super) tail_bytes: usize,
    pub(super) failed: watch::Sender<Option<String>>,
}

impl Writer {
    /// Runs until nobody can ask any more.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let group = collect(first, &mut requests);
            let result = self.write_group(&group);
            if let Err(DiskError::Failed { reason }) = &result {
                self.fail(reason);
            }
            for request in group {
                request.answer(&result);
            }
        }
    }

    fn fail(&self, reason: &str) {
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            if first {
                tracing::error!(reason, "the disk failed; nothing is acknowledged any more");
                *failed = Some(reason.to_owned());
            }
            first
        });
    }

    fn write_group(&mut self, group: &[Request]) -> Result<(), DiskError> {
        let earlier = self.failed.borrow().clone();
        if let Some(reason) = earlier {
            return Err(DiskError::Failed { reason });
        }
        // sled reports some kinds of damage by panicking.
        let written = catch_unwind(AssertUnwindSafe(|| self.try_write_group(group)));
        let result = written.unwrap_or_else(|_| Err("the database panicked".to_owned()));
        result.map_err(|reason| DiskError::Failed { reason })
    }

    fn try_write_group(&mut self, group: &[Request]) -> Result<(), String> {
        self.head.write += 1;
        let mut appended = 0;
        for request in group {
            match request {
                Request::Append(entries, _) => {
                    for entry in entries {
                        self.append(entry)?;
                    }
                    appended += entries.len() as u64;
                }
                Request::Vote(vote, _) => self.head.vote = Some(*vote),
                Request::Truncate { from, last, .. } => self.truncate(*from, *last)?,
                Request::Purge(upto, _) => self.purge(*upto)?,
                Request::Cluster(cluster, _) => self.head.cluster = Some(*cluster),
                Request::Snapshot(stored, _) => {
                    self.head.cluster = self.head.cluster.or(stored.cluster);
                    self.head.snapshot = Some(stored.as_ref().clone());
                }
            }
        }
        let committed = self.memory.lock().committed;
        self.head.committed = committed.filter(|committed| Some(*committed) <= self.head.last);
        self.write_head()?;
        let begin = Instant::now();
        self.make_durable()?;
        self.memory.counters.note(appended, begin.elapsed());
        self.publish();
        Ok(())
    }

    fn append(&mut self, entry: &Entry<TypeConfig>) -> Result<(), String> {
        let index = entry.log_id.index;
        let bytes = encode(entry)?;
        let mut used = SlotsOf::new();
        for piece in pieces(self.head.write, index, &bytes) {
            let slot = self.slots.take();
            let written = self.trees.log.insert(slot.to_be_bytes(), piece);
            written.map_err(|error| error.to_string())?;
            used.push(slot);
        }
        if self.head.last.is_none() {
            self.head.first = index;
            self.memory.lock().index = Index::from(index);
        }
        self.head.last = Some(entry.log_id);
        self.memory.lock().index.push(used, bytes.len());
        Ok(())
    }

    /// The head goes first: after a crash it must not speak of entries that are
    /// being removed.
    fn truncate(&mut self, from: u64, last: Option<LogId<NodeId>>) -> Result<(), String> {
        self.head.last = last;
        self.write_head()?;
        self.remove_from(from)
    }

    fn remove_from(&mut self, from: u64) -> Result<(), String> {
        while let Some(slots) = self.take_last(from) {
            for slot in slots {
                // Entries with the same index come again: none of the old pieces
                // may be there then.
                let removed = self.trees.log.remove(slot.to_be_bytes());
                removed.map_err(|error| error.to_string())?;
                self.slots.give(slot);
            }
        }
        Ok(())
    }

    fn take_last(&self, from: u64) -> Option<SlotsOf> {
        self.memory.lock().index.pop_last(from)
    }

    /// The slots are free, their content stays until they are used again; so here
    /// too the head goes first.
    fn purge(&mut self, upto: LogId<NodeId>) -> Result<(), String> {
        self.slots.note_peak();
        self.head.purged = self.head.purged.max(Some(upto));
        self.head.last = self.head.last.max(self.head.purged);
        let end = next_index(self.head.purged.as_ref());
        let nothing_left = self.head.last == self.head.purged;
        self.head.first = if nothing_left {
            end
        } else {
            self.head.first.max(end)
        };
        self.write_head()?;
        while let Some(slots) = self.take_first(end) {
            for slot in slots {
                self.slots.give(slot);
            }
        }
        if nothing_left {
            // Entries of an earlier term than the snapshot's, with higher indices.
            self.remove_from(end)?;
            self.memory.lock().index = Index::from(end);
        }
        for slot in self.slots.trim() {
            let removed = self.trees.log.remove(slot.to_be_bytes());
            removed.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn take_first(&self, end: u64) -> Option<SlotsOf> {
        self.memory.lock().index.pop_first(end)
    }

    fn write_head(&self) -> Result<(), String> {
        let bytes = self.head.encode().map_err(|error| error.to_string())?;
        let written = self.trees.node.insert(head::KEY, bytes);
        written.map(drop).map_err(|error| error.to_string())
    }

    fn make_durable(&self) -> Result<(), String> {
        self.trees.db.flush().map_err(|error| error.to_string())?;
        let synced = self.file.sync_data();
        synced.map_err(|error| format!("fdatasync: {error}"))?;
        let marked = self.marker.advance(self.head.write);
        marked.map_err(|error| format!("marker: {error}"))
    }

    /// Shows what is durable now to readers.
    fn publish(&self) {
        let mut memory = self.memory.lock();
        memory.cluster = self.head.cluster;
        if memory.snapshot != self.head.snapshot {
            memory.snapshot.clone_from(&self.head.snapshot);
        }
        let durable = memory.index.end();
        memory.tail.shrink(durable, self.tail_bytes);
    }
}

fn collect(first: Request, requests: &mut mpsc::Receiver<Request>) -> Vec<Request> {
    let mut bytes = first.weight();
    let mut group = vec![first];
    while bytes < GROUP_BYTES && group.len() < GROUP_REQUESTS {
        let Ok(request) = requests.try_recv() else {
            break;
        };
        bytes += request.weight();
        group.push(request);
    }
    group
}
