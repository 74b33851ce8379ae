//! What operators may want to know about the state.

/// Things that happened since this copy of the state was made. They are no part
/// of the replicated state: an image does not carry them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that moved a cursor.
    pub messages_applied: u64,
    /// Messages dropped because they had been seen.
    pub messages_duplicate: u64,
    /// Messages dropped because their incarnation is over.
    pub messages_stale: u64,
    /// Messages that could not be read.
    pub messages_unreadable: u64,
    /// Messages declared lost.
    pub messages_lost: u64,
    /// Incarnations that ended because the engine started anew.
    pub restarts: u64,
    /// Commands refused because of a limit or a bad index.
    pub refused: u64,
    /// Removals of blocks that were not held.
    pub removals_unknown: u64,
    /// Parked copies dropped to make room.
    pub parked_dropped: u64,
    /// Stores not applied because the publisher holds all that it may.
    pub blocks_refused: u64,
    /// Stores that gave a held hash another content; the first stands.
    pub conflicts: u64,
    /// Copies not counted because a count or the table of groups was full.
    pub copies_uncounted: u64,
    /// Routes recorded, refused ones not counted.
    pub routes_recorded: u64,
}

/// What the state holds now, and what happened to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StateStats {
    /// Publishers known by their events.
    pub publishers: u64,
    /// Memberships told by events: (publisher, medium, block key).
    pub memberships: u64,
    /// Engine hashes known.
    pub blocks: u64,
    /// Copies parked because their parent is not known.
    pub parked: u64,
    /// Memberships told by routes: (publisher, kind, block key).
    pub route_keys: u64,
    /// Bytes that tables of blocks and routes take, parked copies and names not
    /// included.
    pub table_bytes: u64,
    /// What happened.
    pub counters: Counters,
}
