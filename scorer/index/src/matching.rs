//! What a lookup answers, and the memory that it reuses.

use proto_model::{Holder, Medium, MediumSet};

use crate::survivors::Survivors;

/// How much of the prompt one holder holds, from the first block on, without a
/// hole. At least one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Who.
    pub holder: Holder,
    /// Contiguous blocks held, on any mix of media.
    pub blocks: u32,
    fastest: [u32; 4],
    within: [u32; 3],
}

impl Match {
    pub(crate) fn new(holder: Holder) -> Self {
        Self {
            holder,
            blocks: 0,
            fastest: [0; 4],
            within: [0; 3],
        }
    }

    /// Of [`Match::blocks`], those that have `medium` as their fastest.
    #[must_use]
    pub fn fastest_on(&self, medium: Medium) -> u32 {
        self.fastest[medium as usize]
    }

    /// The longest prefix of which every block lies on `medium` or a faster one:
    /// `Gpu` gives the prefix that is on the GPU alone, `Remote` all blocks.
    #[must_use]
    pub fn prefix_within(&self, medium: Medium) -> u32 {
        self.within
            .get(medium as usize)
            .copied()
            .unwrap_or(self.blocks)
    }

    /// The same numbers for another holder.
    pub(crate) fn of(self, holder: Holder) -> Self {
        Self { holder, ..self }
    }

    /// Counts the blocks up to (not including) position `end` as held on `media`.
    pub(crate) fn extend(&mut self, media: MediumSet, end: u32) {
        let Some(fastest) = media.fastest() else {
            return;
        };
        self.fastest[fastest as usize] += end - self.blocks;
        for (medium, within) in self.within.iter_mut().enumerate() {
            let goes_on = medium >= fastest as usize && *within == self.blocks;
            *within = if goes_on { end } else { *within };
        }
        self.blocks = end;
    }
}

/// Working memory of lookups. Keep one per thread or task and pass it again.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) matches: Vec<Match>,
    pub(crate) survivors: Survivors,
}

impl Scratch {
    /// Empty; grows with the first lookups.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}
