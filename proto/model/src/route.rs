//! What is known of caches from routing decisions instead of events.

use serde::{Deserialize, Serialize};

use crate::{BlockKey, Publisher, Timestamp};

/// Where a holder's memberships are known from. One publisher may have a holder
/// of each; the first that says anything is believed.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[repr(u8)]
pub enum Source {
    /// The engine's events.
    #[default]
    Confirmed = 0,
    /// Routing decisions that the engine has not confirmed yet.
    Speculative = 1,
    /// Routing decisions, and nothing else.
    Estimated = 2,
}

/// What a recorded route says of the endpoint's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum RouteKind {
    /// The engine will soon announce these blocks itself.
    Speculative = 1,
    /// Nothing more will be heard of them.
    Estimated = 2,
}

impl RouteKind {
    /// The source of the holder that such routes are kept under.
    #[must_use]
    pub fn source(self) -> Source {
        match self {
            Self::Speculative => Source::Speculative,
            Self::Estimated => Source::Estimated,
        }
    }
}

/// A request was sent to an endpoint, which will hold or probably holds its blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRecorded {
    /// Where it was sent.
    pub publisher: Publisher,
    /// What that says.
    pub kind: RouteKind,
    /// When, by the store's clock; [`Self::BY_STORE`] until the store has said.
    pub recorded_at: Timestamp,
    /// Until when it counts, by the same clock, and until the store has said when
    /// it was recorded, for how long; `None`: as long as there is room.
    pub expires_at: Option<Timestamp>,
    /// At most this many keys of this kind are kept for the publisher; the least
    /// recently used go first.
    pub capacity: u32,
    /// The prompt's keys, first block to last.
    pub keys: Vec<BlockKey>,
}

impl RouteRecorded {
    /// In the place of a time: when the store takes the command, by its own clock.
    /// No clock that has been set shows it.
    pub const BY_STORE: Timestamp = Timestamp(0);
}
