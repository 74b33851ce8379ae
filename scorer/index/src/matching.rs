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

    /// The match of a holder whose first blocks all have one medium, by number,
    /// as their fastest.
    fn alike(holder: Holder, blocks: u32, medium: u32) -> Self {
        let mut matched = Self::new(holder);
        matched.extend(MediumSet::from_bits(1 << medium), blocks);
        matched
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

/// What a lookup keeps of a match: three words instead of nine, because a popular
/// prompt has thousands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Brief {
    pub(crate) holder: Holder,
    pub(crate) blocks: u32,
    /// Below four the one medium that every block had as its fastest; else, less
    /// four, which of the mixed ones has the details.
    details: u32,
}

/// How many media there are.
const MEDIA: u32 = Medium::ALL.len() as u32;

/// The matches of one lookup, in no order that means anything.
#[derive(Debug, Clone, Copy)]
pub struct Matches<'s> {
    briefs: &'s [Brief],
    mixed: &'s [Match],
}

impl<'s> Matches<'s> {
    /// How many holders hold at least the first block.
    #[must_use]
    pub fn len(&self) -> usize {
        self.briefs.len()
    }

    /// Whether nobody holds the first block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.briefs.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Match> + use<'s> {
        let mixed = self.mixed;
        self.briefs
            .iter()
            .map(move |brief| match brief.details.checked_sub(MEDIA) {
                None => Match::alike(brief.holder, brief.blocks, brief.details),
                Some(at) => mixed[at as usize].of(brief.holder),
            })
    }
}

/// Matches as they are found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    briefs: Vec<Brief>,
    mixed: Vec<Match>,
}

impl Report {
    pub(crate) fn clear(&mut self) {
        self.briefs.clear();
        self.mixed.clear();
    }

    pub(crate) fn reserve(&mut self, matches: usize) {
        self.briefs.reserve(matches);
    }

    /// Adds a holder whose blocks all have one medium as their fastest.
    #[inline]
    pub(crate) fn alike(&mut self, holder: Holder, blocks: u32, fastest: Medium) {
        self.briefs.push(Brief {
            holder,
            blocks,
            details: fastest as u32,
        });
    }

    /// Adds any other.
    pub(crate) fn mixed(&mut self, matched: Match) {
        self.briefs.push(Brief {
            holder: matched.holder,
            blocks: matched.blocks,
            details: MEDIA + self.mixed.len() as u32,
        });
        self.mixed.push(matched);
    }

    pub(crate) fn matches(&self) -> Matches<'_> {
        Matches {
            briefs: &self.briefs,
            mixed: &self.mixed,
        }
    }
}

/// Working memory of lookups. Keep one per thread or task and pass it again.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) report: Report,
    pub(crate) survivors: Survivors,
}

impl Scratch {
    /// Empty; grows with the first lookups.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}
