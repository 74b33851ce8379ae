//! Publishers as operators see them.

use std::time::Duration;

use proto_model::{Cursor, Publisher};

/// One publisher at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublisherView {
    /// The publisher.
    pub publisher: Publisher,
    /// The base model that it serves.
    pub model: String,
    /// Open connections that deliver its messages.
    pub connections: usize,
    /// Time since its last live message; `None` before the first.
    pub silent_for: Option<Duration>,
    /// The newest live sequence.
    pub heard: Option<u64>,
    /// Where the store last said it stands.
    pub cursor: Option<Cursor>,
    /// Whether history is being fetched, or about to be.
    pub replaying: bool,
    /// Whether its history can be fetched at all.
    pub replayable: bool,
    /// Restarts noticed.
    pub restarts: u64,
    /// Messages given up as lost.
    pub lost: u64,
    /// Messages that could not be read, in whole or in part.
    pub unreadable: u64,
}

impl PublisherView {
    /// Messages heard but not yet in the store.
    #[must_use]
    pub fn lag(&self) -> u64 {
        let next = self.cursor.map_or(0, |cursor| cursor.next);
        self.heard
            .map_or(0, |heard| heard.saturating_add(1).saturating_sub(next))
    }
}
