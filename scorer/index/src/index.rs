//! The index as its users see it.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use parking_lot::Mutex;
use proto_model::{BlockKey, Delta};

use crate::lookup::lookup;
use crate::shared::Shared;
use crate::writer::Writer;
use crate::{HolderFilter, IndexLimits, IndexStats, Matches, Scratch};

/// Times that a lookup begins again before it waits for the writer instead.
const TRIES: usize = 16;

/// Which holder holds which blocks. Shared by reference: one writer at a time,
/// any number of readers.
#[derive(Debug)]
pub struct PrefixIndex {
    shared: Arc<Shared>,
    writer: Mutex<Writer>,
}

impl PrefixIndex {
    /// An empty index.
    #[must_use]
    pub fn new(limits: IndexLimits) -> Self {
        let writer = Writer::new(limits);
        Self {
            shared: Arc::clone(&writer.shared),
            writer: Mutex::new(writer),
        }
    }

    /// Applies one delta. Writers wait for one another; readers do not wait.
    pub fn apply(&self, delta: &Delta) {
        self.writer.lock().apply(delta);
    }

    /// Applies deltas in order.
    pub fn apply_all(&self, deltas: &[Delta]) {
        for delta in deltas {
            self.apply(delta);
        }
    }

    /// A new, empty index under the same limits, to be filled aside from a
    /// snapshot and then [installed](Self::install).
    #[must_use]
    pub fn builder(&self) -> IndexBuilder {
        IndexBuilder {
            writer: Writer::new(self.writer.lock().limits),
        }
    }

    /// Replaces the whole content at once; lookups before answer from the old
    /// content, lookups after from the new.
    pub fn install(&self, builder: IndexBuilder) {
        let mut fresh = builder.writer;
        let mut writer = self.writer.lock();
        fresh.take_over(&self.shared);
        let old = std::mem::replace(&mut *writer, fresh);
        drop(writer);
        drop(old);
    }

    /// For every living holder (of `candidates`, if given) that holds
    /// `keys[0..n]` for some n of at least 1, the largest such n, with media.
    /// The order of the answer means nothing.
    pub fn lookup<'s>(
        &self,
        keys: &[BlockKey],
        scratch: &'s mut Scratch,
        candidates: Option<&HolderFilter>,
    ) -> Matches<'s> {
        for _ in 0..TRIES {
            let epoch = self.shared.epoch.load(Ordering::Acquire);
            let core = self.shared.core.load();
            let whole = lookup(&core, keys, scratch, candidates).is_ok();
            fence(Ordering::Acquire);
            if whole && self.shared.epoch.load(Ordering::Relaxed) == epoch {
                return scratch.report.matches();
            }
            self.shared.retries.fetch_add(1, Ordering::Relaxed);
        }
        self.lookup_alone(keys, scratch, candidates);
        scratch.report.matches()
    }

    /// Does up to `budget` steps (block slots visited) of the work that ended
    /// holders left behind; applies do a little of it, too. Returns whether more
    /// is left. Call it now and then while there is nothing to apply.
    pub fn sweep(&self, budget: usize) -> bool {
        self.writer.lock().tidy(budget)
    }

    /// What the index holds now.
    #[must_use]
    pub fn stats(&self) -> IndexStats {
        self.writer.lock().stats()
    }

    /// Bytes of all structures, as [`IndexStats::bytes`] has them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.writer.lock().bytes()
    }

    /// Bounds what is applied from now on. What is held beyond a lower bound
    /// stays.
    pub fn set_limits(&self, limits: IndexLimits) {
        self.writer.lock().set_limits(limits);
    }

    /// Memberships refused or forgotten because of the memory limit. While this
    /// is not 0 answers may be too short, and must say so.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.shared.overflowed.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn inspect(&self, look: impl FnOnce(&crate::shared::Core)) {
        look(self.writer.lock().core());
    }

    /// The lookup while no writer changes anything.
    fn lookup_alone(
        &self,
        keys: &[BlockKey],
        scratch: &mut Scratch,
        candidates: Option<&HolderFilter>,
    ) {
        let writer = self.writer.lock();
        let whole = lookup(writer.core(), keys, scratch, candidates);
        debug_assert_eq!(whole, Ok(()), "the writer's own core is complete");
        if whole.is_err() {
            scratch.report.clear();
        }
    }
}

/// An index in the making; see [`PrefixIndex::builder`].
#[derive(Debug)]
pub struct IndexBuilder {
    writer: Writer,
}

impl IndexBuilder {
    /// Applies one delta of the snapshot.
    pub fn apply(&mut self, delta: &Delta) {
        self.writer.apply(delta);
    }

    /// Applies deltas in order.
    pub fn apply_all(&mut self, deltas: &[Delta]) {
        for delta in deltas {
            self.apply(delta);
        }
    }

    /// What has been built so far.
    #[must_use]
    pub fn stats(&self) -> IndexStats {
        self.writer.stats()
    }
}
