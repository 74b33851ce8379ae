//! This scorer's copy of the index, kept current from a store's watch.
//!
//! ```text
//!  watch ──▶ follow ──apply──▶ Content { index, directory, revision } ◀── lookups
//!               └─ snapshot ──▶ another Content, aside, then swapped in whole
//! ```
//!
//! An answer takes one [`Content`], reads its revision, and only then looks up.
//! The writer moves the revision only after it has applied everything up to it.
//! So an answer may know more than the revision it reports, and never less.

mod content;
mod directory;
mod follow;
mod freshness;
mod held;

pub use content::{Content, RevisionWentBack};
pub use directory::{Directory, KnownPublisher};
pub use follow::FollowSettings;

use std::sync::Arc;

use indexer_store::IndexWatch;
use parking_lot::RwLock;
use proto_api::ReplicaState;
use proto_model::Revision;
use scorer_index::IndexLimits;
use tokio_util::sync::CancellationToken;

use freshness::Freshness;

/// A replica of one store's index. Shared by everything that answers.
#[derive(Debug)]
pub struct Replica {
    content: RwLock<Arc<Content>>,
    freshness: Freshness,
    settings: FollowSettings,
    limits: IndexLimits,
}

impl Replica {
    /// An empty replica, which answers nothing until it is followed.
    #[must_use]
    pub fn new(limits: IndexLimits, settings: FollowSettings) -> Arc<Self> {
        Arc::new(Self {
            content: RwLock::new(Arc::new(Content::new(limits))),
            freshness: Freshness::new(),
            settings,
            limits,
        })
    }

    /// Follows the store until `stop`, or until the store is closed for good.
    /// Reconnects with backoff, and resumes where it stands.
    pub async fn follow(self: Arc<Self>, watch: Arc<dyn IndexWatch>, stop: CancellationToken) {
        follow::follow(&self, watch.as_ref(), &stop).await;
    }

    /// The current content. Keep it for one answer, not longer: a snapshot
    /// replaces it.
    #[must_use]
    pub fn content(&self) -> Arc<Content> {
        Arc::clone(&self.content.read())
    }

    /// Milliseconds since the store was last heard.
    #[must_use]
    pub fn age_ms(&self) -> u64 {
        self.freshness.age_ms()
    }

    /// Where the replica stands towards its store.
    #[must_use]
    pub fn state(&self) -> ReplicaState {
        if !self.freshness.complete() {
            ReplicaState::Starting
        } else if self.freshness.connected()
            && u128::from(self.age_ms()) <= self.settings.stale_after.as_millis()
        {
            ReplicaState::Live
        } else {
            ReplicaState::Stale
        }
    }

    /// Returns once answers count every change up to `revision`; with revision
    /// 0, once there are answers at all.
    pub async fn reached(&self, revision: Revision) {
        self.freshness.wait_for(revision).await;
    }

    /// Snapshots taken over since the start.
    #[must_use]
    pub fn resets(&self) -> u64 {
        self.freshness.resets()
    }

    /// Times that a watch ended and was taken up again.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.freshness.reconnects()
    }

    /// The revision to go on from; `None` before the first snapshot.
    fn resume_from(&self) -> Option<Revision> {
        self.freshness.complete().then(|| self.content().revision())
    }

    /// Puts a complete snapshot in the place of all that was.
    fn install(&self, content: Content) -> Result<(), RevisionWentBack> {
        let mut current = self.content.write();
        let (from, to) = (current.revision(), content.revision());
        if self.freshness.complete() && to < from {
            return Err(RevisionWentBack { from, to });
        }
        *current = Arc::new(content);
        drop(current);
        self.freshness.installed();
        self.freshness.reached(to);
        Ok(())
    }
}
