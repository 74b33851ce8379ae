//! Which slots of the log tree are free.
//!
//! Entries come and go in order. With a new key per piece, sled would split and
//! merge pages all the time; with the same keys again, it overwrites: half the
//! bytes written, and no more keys than the log ever had pieces at one time.

use std::collections::BTreeSet;

/// Slots removed at most at one purge, so that it stays short.
const TRIM: usize = 1024;

/// Slots never given back: about 24 MiB.
const KEPT: u32 = 1024;

#[derive(Debug, Default)]
pub(super) struct Slots {
    free: BTreeSet<u32>,
    /// Slots from here on have never been used, or were given back.
    end: u32,
    /// Slots in use at the last two purges.
    peaks: [u32; 2],
}

impl Slots {
    /// With `used` in use, and every other that is `present` free.
    pub(super) fn new(present: impl Iterator<Item = u32>, used: &BTreeSet<u32>) -> Self {
        let mut end = 0;
        let mut free = BTreeSet::new();
        for slot in present {
            for unused in end..slot {
                free.insert(unused);
            }
            if !used.contains(&slot) {
                free.insert(slot);
            }
            end = slot + 1;
        }
        let peak = end;
        Self {
            free,
            end,
            peaks: [peak; 2],
        }
    }

    /// The lowest free slot.
    pub(super) fn take(&mut self) -> u32 {
        self.free.pop_first().unwrap_or_else(|| {
            self.end += 1;
            self.end - 1
        })
    }

    pub(super) fn give(&mut self, slot: u32) {
        self.free.insert(slot);
    }

    /// Remembers how many are in use, before a purge.
    pub(super) fn note_peak(&mut self) {
        let used = self.end - u32::try_from(self.free.len()).unwrap_or(self.end);
        self.peaks = [used, self.peaks[0]];
    }

    /// Takes slots from the end that the log has not needed of late.
    pub(super) fn trim(&mut self) -> Vec<u32> {
        let peak = self.peaks[0].max(self.peaks[1]);
        let keep = KEPT.max(peak + peak / 4);
        let mut removed = Vec::new();
        while self.end > keep && removed.len() < TRIM && self.free.remove(&(self.end - 1)) {
            self.end -= 1;
            removed.push(self.end);
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again_lowest_first() {
        let mut slots = Slots::new([0, 1, 2, 5].into_iter(), &BTreeSet::from([1, 5]));
        let taken: Vec<u32> = (0..6).map(|_| slots.take()).collect();
        assert_eq!(taken, [0, 2, 3, 4, 6, 7]);
        slots.give(3);
        assert_eq!(slots.take(), 3);
    }

    #[test]
    fn after_a_burst_the_end_is_given_back() {
        let mut slots = Slots::default();
        let burst: Vec<u32> = (0..5000).map(|_| slots.take()).collect();
        slots.note_peak();
        burst.iter().for_each(|slot| slots.give(*slot));
        assert_eq!(slots.trim(), Vec::<u32>::new(), "the peak is still recent");
        for _ in 0..2 {
            let small: Vec<u32> = (0..100).map(|_| slots.take()).collect();
            slots.note_peak();
            small.iter().for_each(|slot| slots.give(*slot));
        }
        let mut removed = 0;
        loop {
            let trimmed = slots.trim();
            assert!(trimmed.len() <= TRIM);
            if trimmed.is_empty() {
                break;
            }
            removed += trimmed.len();
        }
        assert_eq!(removed, 5000 - KEPT as usize);
        assert_eq!(slots.take(), 0);
    }
}
