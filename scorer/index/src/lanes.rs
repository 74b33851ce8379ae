//! Twelve holders' media in one word.
//!
//! ```text
//!  63      48 47  44             7   4 3   0
//! ┌──────────┬──────┬─── ─ ─ ───┬─────┬─────┐
//! │ lane no. │ slot │           │slot │slot │   four bits of media per slot
//! │          │ +11  │           │ +1  │ +0  │
//! └──────────┴──────┴─── ─ ─ ───┴─────┴─────┘
//! ```
//!
//! A holder set is a list of lanes in ascending order, so comparing two sets
//! takes one XOR per twelve holders.

use proto_model::MediumSet;

/// Slots per lane.
pub(crate) const PER_LANE: u32 = 12;

/// The media of all slots of a lane.
pub(crate) const NIBBLES: u64 = (1 << 48) - 1;

/// The lowest bit of every slot's media.
const ONES: u64 = 0x1111_1111_1111;

/// The lane number of a lane word.
#[inline]
pub(crate) fn number(lane: u64) -> u32 {
    (lane >> 48) as u32
}

/// A lane word.
#[inline]
pub(crate) fn lane(number: u32, nibbles: u64) -> u64 {
    u64::from(number) << 48 | nibbles
}

/// Where a slot's media lie: lane number and shift.
#[inline]
pub(crate) fn place(slot: u32) -> (u32, u32) {
    (slot / PER_LANE, slot % PER_LANE * 4)
}

/// The lowest bit of every slot that has any medium.
#[inline]
pub(crate) fn occupied(nibbles: u64) -> u64 {
    (nibbles | nibbles >> 1 | nibbles >> 2 | nibbles >> 3) & ONES
}

/// All four bits of every slot that has any medium.
#[inline]
pub(crate) fn mask(nibbles: u64) -> u64 {
    occupied(nibbles) * 15
}

/// The media at a shift.
#[inline]
pub(crate) fn media(nibbles: u64, shift: u32) -> MediumSet {
    MediumSet::from_bits((nibbles >> shift) as u8 & 15)
}

/// The shifts of the slots that have any medium, lowest first.
#[inline]
pub(crate) fn shifts(nibbles: u64) -> impl Iterator<Item = u32> {
    let mut rest = occupied(nibbles);
    std::iter::from_fn(move || {
        (rest != 0).then(|| {
            let shift = rest.trailing_zeros();
            rest &= rest - 1;
            shift
        })
    })
}

/// The slot at a shift of a lane.
#[inline]
pub(crate) fn slot(number: u32, shift: u32) -> u32 {
    number * PER_LANE + shift / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_and_places_are_inverse() {
        for wanted in [0, 1, 11, 12, 13, 98_291] {
            let (number, shift) = place(wanted);
            assert_eq!(slot(number, shift), wanted);
        }
    }

    #[test]
    fn occupied_slots_are_found_by_any_medium() {
        let nibbles = 0x8_0010_0002;
        assert_eq!(shifts(nibbles).collect::<Vec<_>>(), [0, 20, 32]);
        assert_eq!(mask(nibbles), 0xf_00f0_000f);
        assert_eq!(media(nibbles, 20), MediumSet::from_bits(1));
    }
}
