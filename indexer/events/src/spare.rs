//! Vectors that are used again, so that reading an event allocates nothing.

use proto_model::{EngineHash, TokenId};

use crate::{BlockRemoved, BlockStored};

/// What a vector may keep between messages, in elements. One of a larger message
/// is given back to the allocator.
const KEPT: usize = 8 * 1024;

/// Empty vectors with room, given back after each event. Bounded: a peer's one
/// large message leaves nothing behind.
#[derive(Debug, Default)]
pub struct Spare {
    hashes: Vec<EngineHash>,
    tokens: Vec<TokenId>,
}

impl Spare {
    pub(crate) fn hashes(&mut self, length: usize) -> Vec<EngineHash> {
        let mut hashes = std::mem::take(&mut self.hashes);
        hashes.reserve(length);
        hashes
    }

    pub(crate) fn tokens(&mut self, length: usize) -> Vec<TokenId> {
        let mut tokens = std::mem::take(&mut self.tokens);
        tokens.reserve(length);
        tokens
    }

    pub(crate) fn take_stored(&mut self, event: BlockStored) {
        self.hashes = emptied(event.block_hashes);
        self.tokens = emptied(event.token_ids);
    }

    pub(crate) fn take_removed(&mut self, event: BlockRemoved) {
        self.hashes = emptied(event.block_hashes);
    }
}

fn emptied<T>(mut list: Vec<T>) -> Vec<T> {
    if list.capacity() > KEPT {
        return Vec::new();
    }
    list.clear();
    list
}
