//! Hashing block after block.

use super::pickle::Memo;
use super::{EngineDigest, EngineExtras, EngineHasher};
use crate::{EngineHash, TokenId};

/// Folds blocks into the engine's hashes, first block first.
///
/// Reuses its buffers: after the first block, pushing allocates nothing.
#[derive(Debug, Clone)]
pub struct EngineChain<'h> {
    hasher: &'h EngineHasher,
    parent: EngineDigest,
    scratch: Scratch,
}

/// Buffers of the encodings.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    pub(super) bytes: Vec<u8>,
    pub(super) texts: Vec<Memo>,
    pub(super) open: Vec<u64>,
}

impl<'h> EngineChain<'h> {
    pub(super) fn new(hasher: &'h EngineHasher, parent: EngineDigest) -> Self {
        Self {
            hasher,
            parent,
            scratch: Scratch::default(),
        }
    }

    /// Adds one full block and returns its hash as events carry it.
    pub fn push(&mut self, tokens: &[TokenId], extras: &EngineExtras<'_>) -> EngineHash {
        self.parent = self
            .hasher
            .block(&mut self.scratch, &self.parent, tokens, extras);
        self.parent.hash()
    }

    /// What the chain would give for a block, without adding it.
    pub fn peek(&mut self, tokens: &[TokenId], extras: &EngineExtras<'_>) -> EngineHash {
        self.hasher
            .block(&mut self.scratch, &self.parent, tokens, extras)
            .hash()
    }

    /// The last block's whole digest, or the root's before the first block.
    #[must_use]
    pub fn digest(&self) -> EngineDigest {
        self.parent
    }
}
