//! What the index may use, and what it does use.

/// Bounds on the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexLimits {
    /// Most bytes that the index's structures may take. Beyond it, further
    /// memberships are refused and counted; nothing else changes.
    pub max_bytes: usize,
}

impl Default for IndexLimits {
    /// Eight GiB: about 300 million blocks.
    fn default() -> Self {
        Self { max_bytes: 8 << 30 }
    }
}

/// What the index holds at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// Distinct block keys, including those whose last holder has ended and that
    /// the sweep has not reached.
    pub blocks: usize,
    /// (holder, medium, key) triples of living holders.
    pub memberships: u64,
    /// Living holders.
    pub holders: usize,
    /// Distinct sets of two or more (holder, media) that blocks refer to.
    pub holder_sets: usize,
    /// Bytes of all structures, from their capacities.
    pub bytes: usize,
    /// Block slots that the sweep still has to visit for ended holders.
    pub pending_sweep: usize,
    /// Memberships refused or forgotten because of [`IndexLimits::max_bytes`].
    pub overflowed: u64,
    /// Deltas that named a holder the index does not know, and were ignored.
    pub unknown_holder: u64,
    /// Lookups begun again because memory was being reused under them.
    pub lookup_retries: u64,
}
