//! The copies of 48 holders on one medium in one word.
//!
//! ```text
//!  63       50 49    48 47                        0
//! ┌───────────┬────────┬───────────── ─ ─ ─────────┐
//! │ span      │ medium │ one bit per holder slot   │
//! └───────────┴────────┴───────────── ─ ─ ─────────┘
//! ```
//!
//! A holder set is a list of lanes in ascending order: of every span, which is 48
//! neighbouring slots, first the lane of the GPU, then those of slower media.
//! Lanes without a bit are left out. Nearly every set is on the GPU alone, so
//! comparing two sets takes one operation per 48 holders; with all four media a
//! span takes no more words than with four bits of media per slot.

use proto_model::{Medium, MediumSet};

/// Slots per span.
pub(crate) const SPAN: u32 = 48;

/// Lanes per span at most.
pub(crate) const MEDIA: usize = Medium::ALL.len();

/// The slots of a lane.
pub(crate) const SLOTS: u64 = (1 << SPAN) - 1;

/// A lane word.
#[inline]
pub(crate) fn lane(span: u32, medium: Medium, slots: u64) -> u64 {
    u64::from(span << 2 | medium as u32) << SPAN | slots
}

/// The lane's span and medium as one number, in the order of lanes.
#[inline]
pub(crate) fn head(lane: u64) -> u64 {
    lane >> SPAN
}

/// The number of the lane's span.
#[inline]
pub(crate) fn span(lane: u64) -> u32 {
    (lane >> (SPAN + 2)) as u32
}

/// The lane's medium, as a number.
#[inline]
pub(crate) fn medium(lane: u64) -> usize {
    (lane >> SPAN) as usize & 3
}

/// Where a slot is: its span, and its bit in it.
#[inline]
pub(crate) fn place(slot: u32) -> (u32, u64) {
    (slot / SPAN, 1 << (slot % SPAN))
}

/// The bits' slots in a span, lowest first.
#[inline]
pub(crate) fn slots(span: u32, mut bits: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        (bits != 0).then(|| {
            let slot = span * SPAN + bits.trailing_zeros();
            bits &= bits - 1;
            slot
        })
    })
}

/// The slots of one lane.
#[inline]
pub(crate) fn members(lane: u64) -> impl Iterator<Item = u32> {
    slots(span(lane), lane & SLOTS)
}

/// The lanes of a set of one.
pub(crate) fn lone(slot: u32, media: MediumSet) -> impl Iterator<Item = u64> {
    let (span, bit) = place(slot);
    let of = Medium::ALL.into_iter();
    of.filter(move |medium| media.contains(*medium))
        .map(move |medium| lane(span, medium, bit))
}

/// The only slot in a set's lanes and its media, if it is only one.
pub(crate) fn only(set: &[u64]) -> Option<(u32, MediumSet)> {
    let (first, rest) = set.split_first()?;
    let bit = first & SLOTS;
    let is_same = |lane: &u64| span(*lane) == span(*first) && lane & SLOTS == bit;
    if !bit.is_power_of_two() || !rest.iter().all(is_same) {
        return None;
    }
    let media = set.iter().fold(0, |media, lane| media | 1 << medium(*lane));
    let slot = span(*first) * SPAN + bit.trailing_zeros();
    Some((slot, MediumSet::from_bits(media)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu_and_disk() -> MediumSet {
        MediumSet::EMPTY.with(Medium::Gpu).with(Medium::Disk)
    }

    #[test]
    fn slots_and_places_are_inverse() {
        for wanted in [0, 1, 47, 48, 49, 98_255] {
            let (span, bit) = place(wanted);
            assert_eq!(slots(span, bit).collect::<Vec<_>>(), [wanted]);
        }
        let lane = lane(2, Medium::Disk, 1 << 47 | 5);
        assert_eq!(members(lane).collect::<Vec<_>>(), [96, 98, 143]);
        assert_eq!((span(lane), medium(lane)), (2, Medium::Disk as usize));
    }

    #[test]
    fn a_set_of_one_is_known_as_such() {
        for slot in [0, 47, 48, 98_255] {
            let lanes: Vec<u64> = lone(slot, gpu_and_disk()).collect();
            assert_eq!((lanes.len(), lanes.is_sorted()), (2, true));
            assert_eq!(only(&lanes), Some((slot, gpu_and_disk())));
        }
    }

    #[test]
    fn sets_of_two_are_not_sets_of_one() {
        let (gpu, cpu) = (Medium::Gpu, Medium::Cpu);
        for two in [
            vec![lane(0, gpu, 3)],
            vec![lane(0, gpu, 1), lane(0, cpu, 2)],
            vec![lane(0, gpu, 1), lane(0, cpu, 3)],
            vec![lane(0, gpu, 1), lane(1, gpu, 1)],
            vec![],
        ] {
            assert_eq!(only(&two), None, "{two:x?}");
        }
    }
}
