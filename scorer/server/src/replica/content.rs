//! The index and its directory at one moment, and the only way to change them.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use proto_model::{Delta, Holder, Medium, Revision};
use scorer_index::{IndexLimits, PrefixIndex};

use super::directory::Directory;
use super::held::HeldBlocks;
use super::label::Label;

/// The store's revision is lower than one that was already answered from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store offers revision {}, but this replica has answered from {}", .to.0, .from.0
)]
pub struct RevisionWentBack {
    /// Where the replica stands.
    pub from: Revision,
    /// What the store offers.
    pub to: Revision,
}

/// How much is known only from routing decisions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Routed {
    /// Holders of such blocks that have, or lately had, any.
    pub(crate) holders: usize,
    /// Blocks that engines have not confirmed yet.
    pub(crate) speculative: u64,
}

/// What is known as of one revision, or a little later.
#[derive(Debug)]
pub struct Content {
    index: PrefixIndex,
    directory: RwLock<Directory>,
    held: Mutex<HeldBlocks>,
    revision: AtomicU64,
}

impl Content {
    pub(super) fn new(limits: IndexLimits, label: Option<Label>) -> Self {
        Self {
            index: PrefixIndex::new(limits),
            directory: RwLock::new(Directory::new(label)),
            held: Mutex::new(HeldBlocks::default()),
            revision: AtomicU64::new(0),
        }
    }

    /// Everything up to here has been applied. Read it before looking up.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision(self.revision.load(Ordering::Acquire))
    }

    /// The blocks.
    #[must_use]
    pub fn index(&self) -> &PrefixIndex {
        &self.index
    }

    /// Whether the index has refused or forgotten memberships for want of
    /// memory. Nobody's blocks are then known in full, whatever their cursor
    /// says: believe no one more than [`proto_model::Trust::Suspect`].
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.index.overflowed() > 0
    }

    /// Who is who. Hold it for a moment only: the follower waits for it.
    pub fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read()
    }

    /// Blocks of a holder, in the order of [`Medium::ALL`].
    #[must_use]
    pub fn held_by(&self, holder: Holder) -> [u64; Medium::ALL.len()] {
        self.held.lock().of(holder)
    }

    /// What of the content is known only from routing decisions.
    pub(crate) fn routed(&self) -> Routed {
        let directory = self.directory();
        let held = self.held.lock();
        let mut routed = Routed::default();
        for known in directory.publishers() {
            let holders = [known.speculative, known.estimated];
            routed.holders += holders.iter().flatten().count();
            let blocks = known.speculative.map(|holder| held.of(holder));
            routed.speculative += blocks.unwrap_or_default().iter().sum::<u64>();
        }
        routed
    }

    /// Applies changes in order. Only one caller at a time.
    pub(super) fn apply(&self, deltas: &[Delta]) {
        for delta in deltas {
            match delta {
                // A block delta concerns the index alone, and there are many.
                Delta::Stored { .. } | Delta::Removed { .. } => {
                    self.index.apply(delta);
                    self.held.lock().apply(delta);
                }
                // The directory knows a holder before the index can name it,
                // and after the index has ceased to: a lookup's holder that the
                // directory does not know has ended since.
                Delta::HolderBegan { .. } => {
                    self.directory.write().apply(delta);
                    self.held.lock().apply(delta);
                    self.index.apply(delta);
                }
                Delta::HolderEnded { .. } => {
                    self.index.apply(delta);
                    self.held.lock().apply(delta);
                    self.directory.write().apply(delta);
                }
                Delta::Status(_) | Delta::Space(_) | Delta::PublisherRemoved { .. } => {
                    self.directory.write().apply(delta);
                }
            }
        }
    }

    /// Says that everything up to `revision` has been applied.
    pub(super) fn reached(&self, revision: Revision) {
        self.revision.fetch_max(revision.0, Ordering::Release);
    }
}
