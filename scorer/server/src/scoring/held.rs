//! How much of a prompt an endpoint holds, from all that is known of it.

use proto_model::Medium;
use scorer_index::Match;

use super::lookup::Found;

const MEDIA: usize = Medium::ALL.len();

/// What an endpoint holds of a prompt, in blocks from the first one on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    /// Blocks, the prompt's last among them.
    pub(crate) matched: u32,
    /// Those blocks by their fastest medium.
    pub(crate) on: [u32; MEDIA],
    /// The longest prefix of which every block lies on the medium or a faster one.
    pub(crate) within: [u32; MEDIA],
    /// Blocks that the engine will not compute again.
    pub(crate) reusable: u32,
    /// The reusable blocks by their fastest medium.
    pub(crate) reusable_on: [u32; MEDIA],
    /// The part of the reusable blocks that only a routing decision lets expect.
    pub(crate) speculative: u32,
}

impl Held {
    /// What events have told, if they have, and what a routing decision lets
    /// expect: the longer of the two counts. What the decision adds will be
    /// computed into the GPU's cache.
    pub(crate) fn of(confirmed: Option<&Found>, speculative: Option<&Found>) -> Self {
        let mut held = confirmed.map(Self::confirmed).unwrap_or_default();
        if let Some(routed) = speculative {
            held.expect(routed.full.blocks, routed.reusable_blocks());
        }
        held
    }

    /// Blocks of text, of which nothing but their number is known.
    pub(crate) fn of_text(blocks: u32) -> Self {
        Self {
            matched: blocks,
            ..Self::default()
        }
    }

    fn confirmed(found: &Found) -> Self {
        let by_medium = |of: &Match| Medium::ALL.map(|medium| of.fastest_on(medium));
        Self {
            matched: found.full.blocks,
            on: by_medium(&found.full),
            within: Medium::ALL.map(|medium| found.full.prefix_within(medium)),
            reusable: found.reusable_blocks(),
            reusable_on: found.reusable.as_ref().map(by_medium).unwrap_or_default(),
            speculative: 0,
        }
    }

    fn expect(&mut self, matched: u32, reusable: u32) {
        let gpu = Medium::Gpu as usize;
        if let Some(more) = matched.checked_sub(self.matched) {
            for within in &mut self.within {
                if *within == self.matched {
                    *within = matched;
                }
            }
            self.on[gpu] += more;
            self.matched = matched;
        }
        if let Some(more) = reusable.checked_sub(self.reusable) {
            self.reusable_on[gpu] += more;
            self.reusable = reusable;
            self.speculative = more;
        }
    }

    /// What it is worth where blocks have so many tokens; the more the better.
    pub(crate) fn worth(&self, block_size: u32) -> (u64, u64) {
        let tokens = |blocks: u32| u64::from(blocks) * u64::from(block_size);
        (tokens(self.reusable), tokens(self.matched))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two blocks on the GPU, then one on the CPU; all reusable.
    fn confirmed() -> Held {
        Held {
            matched: 3,
            on: [2, 1, 0, 0],
            within: [2, 3, 3, 3],
            reusable: 3,
            reusable_on: [2, 1, 0, 0],
            speculative: 0,
        }
    }

    #[test]
    fn a_longer_expectation_adds_what_it_has_more() {
        let mut held = confirmed();
        held.expect(5, 4);
        assert_eq!((held.matched, held.reusable, held.speculative), (5, 4, 1));
        assert_eq!(held.on, [4, 1, 0, 0]);
        assert_eq!(held.reusable_on, [3, 1, 0, 0]);
        // The block on the CPU is still there: nothing on the GPU alone is longer.
        assert_eq!(held.within, [2, 5, 5, 5]);
    }

    #[test]
    fn a_shorter_expectation_changes_nothing() {
        let mut held = confirmed();
        held.expect(2, 2);
        assert_eq!((held.matched, held.reusable, held.speculative), (3, 3, 0));
        assert_eq!((held.on, held.within), ([2, 1, 0, 0], [2, 3, 3, 3]));
    }

    #[test]
    fn an_expectation_alone_is_on_the_gpu() {
        let mut held = Held::default();
        held.expect(4, 3);
        assert_eq!((held.matched, held.reusable, held.speculative), (4, 3, 3));
        assert_eq!((held.on, held.within), ([4, 0, 0, 0], [4; 4]));
        assert_eq!(held.reusable_on, [3, 0, 0, 0]);
    }
}
