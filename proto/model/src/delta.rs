//! What comes out of the replicated state, for readers.

use serde::{Deserialize, Serialize};

use crate::{BlockKey, Cursor, Holder, KeySpace, Medium, Publisher, Source};

/// One change that a reader applies to its replica, in order.
///
/// A snapshot for readers is a sequence of deltas too: the ones that build the
/// replica from nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delta {
    /// A holder begins, empty. An earlier holder of the same publisher and source
    /// has been ended by a [`Delta::HolderEnded`] before this one.
    HolderBegan {
        /// The new holder.
        holder: Holder,
        /// Whose cache it stands for.
        publisher: Publisher,
        /// Where its memberships are known from. A publisher may have one holder
        /// of each source at a time.
        source: Source,
    },
    /// Nothing that the holder held counts any more.
    HolderEnded {
        /// The holder, never to be seen again.
        holder: Holder,
    },
    /// Blocks became available on a medium. Every key is new there: the state
    /// counts physical copies and reports only the first.
    Stored {
        /// Who holds them.
        holder: Holder,
        /// Where.
        medium: Medium,
        /// The blocks; those of one engine event in prefix order.
        keys: Vec<BlockKey>,
    },
    /// The last copies of blocks on a medium are gone.
    Removed {
        /// Who held them.
        holder: Holder,
        /// Where.
        medium: Medium,
        /// The blocks.
        keys: Vec<BlockKey>,
    },
    /// A publisher's standing changed: cursor, trust, counters.
    Status(PublisherStatus),
    /// A publisher was seen to store blocks in a key space for the first time.
    Space(SpaceAnnounced),
    /// The publisher is gone; its holders have ended before.
    PublisherRemoved {
        /// The publisher.
        publisher: Publisher,
    },
}

/// Where a publisher stands, for answers and operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublisherStatus {
    /// The publisher.
    pub publisher: Publisher,
    /// The base model that it serves.
    pub model: String,
    /// Incarnation, next sequence, last timestamp, trust.
    pub cursor: Cursor,
    /// Blocks parked because their parent is not known.
    pub parked: u64,
    /// Messages lost for good in this incarnation.
    pub lost: u64,
}

/// A publisher and a key space that it stores blocks in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceAnnounced {
    /// The publisher.
    pub publisher: Publisher,
    /// The space.
    pub space: KeySpace,
}
