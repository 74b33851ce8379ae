//! What one message may hold at most.

/// Bounds on what [`decode_batch`](crate::decode_batch) accepts.
///
/// The defaults leave room for a prompt of a million tokens in blocks of one
/// token; a message beyond them comes from no known engine.
///
/// There is no limit on nesting: the decoder reads a fixed structure, and
/// passes over anything else with a counter, never by recursion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one payload. A larger one is refused unread.
    pub payload_bytes: usize,
    /// Events in one batch.
    pub events: usize,
    /// Block hashes in one event.
    pub hashes: usize,
    /// Token ids in one event, and lookahead token ids likewise.
    pub tokens: usize,
    /// Extra keys of one block.
    pub extra_keys: usize,
    /// Bytes of one text, byte hash or byte key.
    pub text_bytes: usize,
    /// Bytes that all decoded events and errors of one batch may take in memory,
    /// not counting what the allocator adds. This is what bounds memory: a
    /// single byte of a payload can stand for an empty list or an empty text,
    /// which take many when decoded.
    pub decoded_bytes: usize,
}

impl Limits {
    /// What [`Limits::default`] gives.
    pub const DEFAULT: Self = Self {
        payload_bytes: 64 << 20,
        events: 1 << 16,
        hashes: 1 << 20,
        tokens: 1 << 22,
        extra_keys: 1 << 10,
        text_bytes: 1 << 12,
        decoded_bytes: 256 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
