//! What one state may hold.

use serde::{Deserialize, Serialize};

/// Most key spaces that one publisher can be given; slots name them in ten bits.
pub(crate) const SPACES_MAX: usize = 1024;

/// Bounds on what publishers can make the state hold.
///
/// Every copy of a replicated state must be given the same limits: they decide
/// outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateLimits {
    /// Publishers known at a time by their events. Events of one more are refused.
    pub publishers: usize,
    /// Publishers known at a time by routes only. For one more the one that was
    /// longest unused makes room.
    pub routed_publishers: usize,
    /// Blocks (engine hashes) per publisher. A store beyond is not applied, is
    /// counted, and makes the publisher `suspect`.
    pub blocks_per_publisher: usize,
    /// Blocks of all publishers together. A store beyond is treated like one
    /// beyond `blocks_per_publisher`. A block takes 24 bytes in its slot and 8 to
    /// 16 in two indexes: the default of 134,217,728 bounds tables at about 6 GiB.
    pub blocks: usize,
    /// Parked copies per publisher. One more drops the oldest, which is counted
    /// and makes the publisher `partial`.
    pub parked_per_publisher: usize,
    /// Parked copies of all publishers together.
    pub parked: usize,
    /// Key spaces per publisher, 1,024 at most. A command that names more is
    /// refused.
    pub spaces_per_publisher: usize,
    /// Keys that routes of one kind can make a publisher have. Beyond it, as
    /// beyond the capacity that a route names, the least recently used go.
    pub route_keys_per_publisher: usize,
    /// Keys of all routes together. A table beyond makes room in itself; for one
    /// that has no room at all a publisher known by routes only makes room, the
    /// one that was longest unused. A key takes about 60 bytes.
    pub route_keys: usize,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self {
            publishers: 100_000,
            routed_publishers: 16_384,
            blocks_per_publisher: 16 << 20,
            blocks: 128 << 20,
            parked_per_publisher: 1 << 16,
            parked: 1 << 20,
            spaces_per_publisher: SPACES_MAX,
            route_keys_per_publisher: 1 << 20,
            route_keys: 32 << 20,
        }
    }
}

impl StateLimits {
    /// The limit on spaces that slots can also express.
    pub(crate) fn spaces(&self) -> usize {
        self.spaces_per_publisher.min(SPACES_MAX)
    }
}
