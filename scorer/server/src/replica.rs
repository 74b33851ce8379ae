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
mod label;
mod memory;
mod replicas;

pub use content::{Content, RevisionWentBack};
pub use directory::{Directory, KnownPublisher};
pub use follow::FollowSettings;
pub use replicas::{Replicas, ReplicasError};

use std::sync::Arc;

use indexer_store::IndexWatch;
use parking_lot::RwLock;
use proto_api::ReplicaState;
use proto_model::Revision;
use scorer_index::IndexLimits;
use tokio_util::sync::CancellationToken;

use freshness::Freshness;
use label::Label;
use memory::MemoryShare;

pub(crate) use replicas::Standing;

/// A replica of one store's index. Shared by everything that answers.
#[derive(Debug)]
pub struct Replica {
    name: String,
    label: Option<Label>,
    content: RwLock<Arc<Content>>,
    freshness: Freshness,
    settings: FollowSettings,
    memory: MemoryShare,
}

impl Replica {
    /// An empty replica of the only store, which answers nothing until it is
    /// followed. For several stores: [`Replicas::new`].
    #[must_use]
    pub fn new(limits: IndexLimits, settings: FollowSettings) -> Arc<Self> {
        let memory = MemoryShare::alone(limits);
        Self::numbered(1, None, memory, settings)
    }

    /// The replica of the `number`th store, from 1.
    fn numbered(
        number: usize,
        label: Option<Label>,
        memory: MemoryShare,
        settings: FollowSettings,
    ) -> Arc<Self> {
        let name = match &label {
            Some(label) => label.as_str().to_owned(),
            None => format!("store-{number}"),
        };
        Arc::new(Self {
            name,
            content: RwLock::new(Arc::new(Content::new(memory.limits(), label.clone()))),
            label,
            freshness: Freshness::new(),
            settings,
            memory,
        })
    }

    /// What the store is called in answers, metrics and logs: its label, or its
    /// place among the configured stores (`store-2`).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster that the store's endpoints are listed under, if it is not that
    /// of their own names.
    pub(crate) fn label(&self) -> Option<&str> {
        self.label.as_ref().map(Label::as_str)
    }

    /// Follows the store until `stop`. Reconnects with backoff, and resumes where
    /// it stands.
    pub async fn follow(self: Arc<Self>, watch: Arc<dyn IndexWatch>, stop: CancellationToken) {
        let _following = self.freshness.follow();
        follow::follow(&self, watch.as_ref(), &stop).await;
    }

    /// Whether [`follow`](Self::follow) is running: a replica that nobody follows
    /// never gets any newer.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.freshness.followers() > 0
    }

    /// Whether a first snapshot has been taken over.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.freshness.complete()
    }

    /// The current content. Keep it for one answer, not longer: a snapshot
    /// replaces it.
    #[must_use]
    pub fn content(&self) -> Arc<Content> {
        Arc::clone(&self.content.read())
    }

    /// Milliseconds since the last moment that nothing is known to be missing of:
    /// the time since the store was heard, and what that was on the way.
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

    /// Watches given up because the store offered an older history.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.freshness.refusals()
    }

    /// Whether the store keeps offering an older history than was answered from:
    /// it was emptied, or restored from a backup. Somebody has to look.
    #[must_use]
    pub fn store_went_back(&self) -> bool {
        self.freshness.refusals_in_a_row() >= follow::CONSISTENTLY
    }

    /// The revision to go on from; `None` before the first snapshot.
    fn resume_from(&self) -> Option<Revision> {
        self.freshness.complete().then(|| self.content().revision())
    }

    /// Another content, to be filled aside from a snapshot.
    fn aside(&self) -> Content {
        Content::new(self.memory.limits(), self.label.clone())
    }

    /// Puts a complete snapshot in the place of all that was, which it gives back:
    /// to let go of it takes time.
    fn install(&self, content: Content) -> Result<Arc<Content>, RevisionWentBack> {
        let content = Arc::new(content);
        let mut current = self.content.write();
        let (from, to) = (current.revision(), content.revision());
        if self.freshness.complete() && to < from {
            return Err(RevisionWentBack { from, to });
        }
        let old = std::mem::replace(&mut *current, content);
        drop(current);
        self.freshness.installed();
        self.freshness.reached(to);
        Ok(old)
    }
}
