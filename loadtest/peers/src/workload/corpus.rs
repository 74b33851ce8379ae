//! The text of all prompts, as hashes: chains of blocks that share beginnings.

use dynamo_kv_router::protocols::{LocalBlockHash, compute_next_seq_hash};
use serde::{Deserialize, Serialize};

use super::random::mix;

/// One block of a chain, by both names that indexes know it by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    /// Hash of the block's own tokens.
    pub(crate) local: u64,
    /// Hash of everything up to the block's end.
    pub(crate) chained: u64,
}

/// What a chain is made from.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct ChainSpec {
    /// The whole chain that this one goes on after.
    pub(super) parent: Option<u32>,
    pub(super) blocks: u32,
}

#[derive(Debug)]
struct Chain {
    parent: Option<u32>,
    blocks: Vec<Block>,
}

/// All chains.
#[derive(Debug, Default)]
pub(crate) struct Corpus {
    chains: Vec<Chain>,
}

impl Corpus {
    pub(super) fn of(specs: &[ChainSpec]) -> Self {
        let mut corpus = Self::default();
        specs.iter().for_each(|spec| corpus.push(*spec));
        corpus
    }

    pub(super) fn push(&mut self, spec: ChainSpec) {
        let chain = self.chains.len() as u64;
        let mut before = spec.parent.and_then(|parent| self.last(parent));
        let blocks = (0..u64::from(spec.blocks)).map(|at| {
            let local = mix(mix(chain + 1) ^ at << 32);
            // Dynamo's recurrence: its positional index computes it again.
            let chained = before.map_or(local, |before| {
                compute_next_seq_hash(before, LocalBlockHash(local))
            });
            before = Some(chained);
            Block { local, chained }
        });
        let blocks = blocks.collect();
        let parent = spec.parent;
        self.chains.push(Chain { parent, blocks });
    }

    fn last(&self, chain: u32) -> Option<u64> {
        self.chains[chain as usize]
            .blocks
            .last()
            .map(|block| block.chained)
    }

    /// Blocks `from..to` of a chain's own part.
    pub(crate) fn blocks(&self, chain: u32, from: u32, to: u32) -> &[Block] {
        &self.chains[chain as usize].blocks[from as usize..to as usize]
    }

    /// The chained hash of the block before position `at` of a chain.
    pub(crate) fn before(&self, chain: u32, at: u32) -> Option<u64> {
        let own = &self.chains[chain as usize];
        match at.checked_sub(1) {
            Some(before) => Some(own.blocks[before as usize].chained),
            None => own.parent.and_then(|parent| self.last(parent)),
        }
    }

    /// The first `blocks` blocks of a prompt that ends in `chain`: of its context,
    /// and of its own part.
    pub(crate) fn prompt(&self, chain: u32, blocks: u32) -> Prompt<'_> {
        let own = &self.chains[chain as usize];
        let parent = own.parent.map(|parent| &self.chains[parent as usize]);
        let shared = parent.map_or(&[][..], |parent| &parent.blocks);
        let of_shared = shared.len().min(blocks as usize);
        [
            &shared[..of_shared],
            &own.blocks[..blocks as usize - of_shared],
        ]
    }
}

/// A prompt's blocks, in two pieces.
pub(crate) type Prompt<'a> = [&'a [Block]; 2];
