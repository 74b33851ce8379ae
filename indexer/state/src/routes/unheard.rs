//! Publishers that only routes tell of, by their last use.
//!
//! Anybody who may record routes can make them up, so they have a limit of their
//! own, and the one that was longest unused makes room for the next one.

use std::collections::BTreeSet;
use std::sync::Arc;

use proto_model::{Publisher, Timestamp};

/// The least recently used first; equals by name. An image carries the times, so
/// that every copy of the state comes to the same order.
#[derive(Debug, Clone, Default)]
pub(super) struct Unheard(BTreeSet<(Timestamp, Arc<Publisher>)>);

impl Unheard {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A route was recorded at `at`; the one before at `before`.
    pub(super) fn used(&mut self, publisher: &Arc<Publisher>, before: Timestamp, at: Timestamp) {
        self.remove(publisher, before);
        self.0.insert((at, Arc::clone(publisher)));
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, publisher: &Arc<Publisher>, used: Timestamp) -> bool {
        self.0.remove(&(used, Arc::clone(publisher)))
    }

    pub(super) fn oldest_first(&self) -> impl Iterator<Item = &Arc<Publisher>> {
        self.0.iter().map(|(_, publisher)| publisher)
    }
}
