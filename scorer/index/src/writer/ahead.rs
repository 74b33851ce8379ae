//! The table's memory for the keys to come, asked for while others are handled.

use proto_model::BlockKey;

use crate::shared::Core;
use crate::table::KeyHash;

/// Keys between asking for an entry's memory and using it: a few hundred
/// nanoseconds.
const DISTANCE: usize = 24;
/// The same for the block that the entry names.
const HALF: usize = DISTANCE / 2;
const RING: usize = 32;

/// Walks in front of whoever handles a delta's keys. It begins where the table
/// is needed for the first time: neighbours are found without it.
#[derive(Debug)]
pub(super) struct Ahead<'a> {
    keys: &'a [BlockKey],
    hashes: [KeyHash; RING],
    /// Entries asked for up to here.
    entries: usize,
    /// Blocks asked for up to here.
    blocks: usize,
    /// Whether the keys to come are likely to be held by somebody, but not side
    /// by side.
    expects_blocks: bool,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(keys: &'a [BlockKey]) -> Self {
        Self {
            keys,
            hashes: [KeyHash::default(); RING],
            entries: 0,
            blocks: 0,
            expects_blocks: false,
        }
    }

    /// Says whether blocks are worth asking for.
    pub(super) fn expect_blocks(&mut self, expects: bool) {
        self.expects_blocks = expects;
    }

    /// The hash of the key at a place; places only grow.
    #[inline]
    pub(super) fn hash(&mut self, core: &Core, at: usize) -> KeyHash {
        self.entries = self.entries.max(at);
        let end = self.keys.len().min(at + DISTANCE);
        while self.entries < end {
            let hash = core.claim_entry(self.keys[self.entries].0);
            self.hashes[self.entries % RING] = hash;
            self.entries += 1;
        }
        if self.expects_blocks {
            self.blocks = self.blocks.max(at);
            let end = self.keys.len().min(at + HALF);
            while self.blocks < end {
                core.prefetch_block(self.hashes[self.blocks % RING]);
                self.blocks += 1;
            }
        }
        self.hashes[at % RING]
    }
}
