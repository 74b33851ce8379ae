//! What of the disk is held in memory, for reading.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openraft::{LogId, Vote};
use parking_lot::{Mutex, MutexGuard};

use super::DiskStats;
use super::head::{Head, StoredSnapshot};
use crate::log::{Index, Tail};
use crate::types::{ClusterId, NodeId};

/// Shared by the writer thread and all handles.
#[derive(Debug)]
pub(crate) struct Memory {
    held: Mutex<Held>,
    pub(crate) counters: Counters,
}

/// The log's ends are those that openraft has asked for; the disk may be behind.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) purged: Option<LogId<NodeId>>,
    /// The index of the first entry, if there are any.
    pub(crate) first: u64,
    pub(crate) last: Option<LogId<NodeId>>,
    pub(crate) tail: Tail,
    /// Entries on disk.
    pub(crate) index: Index,
    pub(crate) committed: Option<LogId<NodeId>>,
    pub(crate) vote: Option<Vote<NodeId>>,
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) snapshot: Option<StoredSnapshot>,
}

impl Memory {
    pub(super) fn new(head: &Head, index: Index) -> Self {
        let held = Held {
            purged: head.purged,
            first: head.first,
            last: head.last,
            tail: Tail::default(),
            index,
            committed: head.committed,
            vote: head.vote,
            cluster: head.cluster,
            snapshot: head.snapshot.clone(),
        };
        Self {
            held: Mutex::new(held),
            counters: Counters::default(),
        }
    }

    /// Held for moments only.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock()
    }
}

/// What the writer counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    groups: AtomicU64,
    appended: AtomicU64,
    flush_micros: AtomicU64,
}

impl Counters {
    pub(super) fn note(&self, appended: u64, flush: Duration) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.appended.fetch_add(appended, Ordering::Relaxed);
        let micros = u64::try_from(flush.as_micros()).unwrap_or(u64::MAX);
        self.flush_micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> DiskStats {
        DiskStats {
            groups: self.groups.load(Ordering::Relaxed),
            appended: self.appended.load(Ordering::Relaxed),
            flush_micros: self.flush_micros.load(Ordering::Relaxed),
            ..DiskStats::default()
        }
    }
}
