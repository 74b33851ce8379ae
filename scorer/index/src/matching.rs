//! What a lookup answers, and the memory that it reuses.

use std::sync::atomic::AtomicU64;

use proto_model::{Holder, Medium};

use crate::lanes::SPAN;
use crate::shared::living;
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

    /// The numbers of a holder whose first blocks all have one medium as their
    /// fastest.
    fn alike(blocks: u32, medium: Medium) -> Self {
        let mut matched = Self::new(Holder(0));
        matched.extend(medium, blocks);
        matched
    }

    /// The same numbers for another holder.
    pub(crate) fn of(self, holder: Holder) -> Self {
        Self { holder, ..self }
    }

    /// Counts the blocks up to (not including) position `end` as held, with
    /// `fastest` as their fastest medium.
    pub(crate) fn extend(&mut self, fastest: Medium, end: u32) {
        self.fastest[fastest as usize] += end - self.blocks;
        for (medium, within) in self.within.iter_mut().enumerate() {
            let goes_on = medium >= fastest as usize && *within == self.blocks;
            *within = if goes_on { end } else { *within };
        }
        self.blocks = end;
    }
}

/// Holders that drop out together have the same numbers: those are kept once.
#[derive(Debug, Clone, Copy)]
struct Group {
    /// Where in the list of holders the next group begins.
    end: usize,
    blocks: u32,
    /// The one medium that every block had as its fastest.
    fastest: Medium,
}

/// The matches of one lookup, in no order that means anything.
#[derive(Debug, Clone, Copy)]
pub struct Matches<'s> {
    holders: &'s [Holder],
    groups: &'s [Group],
    /// Those of holders that have changed medium.
    mixed: &'s [Match],
}

impl<'s> Matches<'s> {
    /// How many holders hold at least the first block.
    #[must_use]
    pub fn len(&self) -> usize {
        self.holders.len() + self.mixed.len()
    }

    /// Whether nobody holds the first block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Match> + use<'s> {
        let Self { holders, mixed, .. } = *self;
        let mut groups = self.groups.iter();
        let (mut end, mut numbers) = (0, Match::new(Holder(0)));
        (0..self.len()).map(move |at| {
            let Some(&holder) = holders.get(at) else {
                return mixed[at - holders.len()];
            };
            if at == end
                && let Some(group) = groups.next()
            {
                end = group.end;
                numbers = Match::alike(group.blocks, group.fastest);
            }
            numbers.of(holder)
        })
    }
}

/// Matches as they are found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Only the first `found` mean something; the others are room.
    holders: Vec<Holder>,
    found: usize,
    groups: Vec<Group>,
    mixed: Vec<Match>,
}

/// Room for the holders of a span, as a power of two.
const ROOM: usize = SPAN.next_power_of_two() as usize;

impl Report {
    pub(crate) fn clear(&mut self) {
        self.found = 0;
        self.groups.clear();
        self.mixed.clear();
    }

    /// Adds those of a span's slots that are taken, all of whose `blocks` have one
    /// medium as their fastest. Where nobody lives the next one is written over:
    /// a popular prompt has thousands of matches, and this does not branch.
    #[inline]
    pub(crate) fn alike(
        &mut self,
        roster: &[AtomicU64],
        mut slots: u64,
        (blocks, fastest): (u32, Medium),
    ) {
        let mut added = 0;
        let room = self.room();
        while slots != 0 {
            let holder = roster.get(slots.trailing_zeros() as usize).and_then(living);
            room[added % ROOM] = holder.unwrap_or(Holder(0));
            added += usize::from(holder.is_some());
            slots &= slots - 1;
        }
        if added > 0 {
            self.found += added;
            self.group(blocks, fastest);
        }
    }

    /// Says what the holders added last have in common.
    #[inline]
    fn group(&mut self, blocks: u32, fastest: Medium) {
        let end = self.found;
        match self.groups.last_mut() {
            Some(last) if (last.blocks, last.fastest) == (blocks, fastest) => last.end = end,
            _ => self.groups.push(Group {
                end,
                blocks,
                fastest,
            }),
        }
    }

    /// Adds any other.
    pub(crate) fn mixed(&mut self, matched: Match) {
        self.mixed.push(matched);
    }

    /// Where the next holders are written.
    #[inline]
    fn room(&mut self) -> &mut [Holder; ROOM] {
        if self.holders.len() < self.found + ROOM {
            self.grow();
        }
        self.holders[self.found..]
            .first_chunk_mut()
            .expect("just made")
    }

    #[cold]
    fn grow(&mut self) {
        let room = (self.found + ROOM).next_power_of_two();
        self.holders.resize(room, Holder(0));
    }

    pub(crate) fn matches(&self) -> Matches<'_> {
        Matches {
            holders: &self.holders[..self.found],
            groups: &self.groups,
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
