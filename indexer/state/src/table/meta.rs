//! Everything about a block but its names, in eight bytes.

use proto_model::Medium;

/// Most copies of one block on one medium in one group that are counted.
pub(crate) const COPIES_MAX: u32 = (1 << COPIES_BITS) - 1;

/// Most prefix-complete groups of one publisher.
pub(crate) const GROUPS_MAX: usize = 8;

const COPIES_BITS: u32 = 11;
const MEMBER_AT: u32 = 4 * COPIES_BITS;
const SHARED_AT: u32 = MEMBER_AT + 4;
const SIDE_AT: u32 = SHARED_AT + 1;
const SPACE_AT: u32 = SIDE_AT + 5;
const SIDE_MASK: u64 = 0x1f;

/// ```text
///  0..44 copies of the first group, 11 bits per medium
/// 44..48 member per medium          48 shared key
/// 49..54 side counts in use (at most 7 groups x 4 media)
/// 54..64 index of the key space
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta(u64);

impl Meta {
    /// What a slot in the free list has; no block can have it.
    pub(super) const FREE: Self = Self(u64::MAX);

    pub(super) fn new(space: u16) -> Self {
        Self(u64::from(space) << SPACE_AT)
    }

    pub(super) fn space(self) -> u16 {
        u16::try_from(self.0 >> SPACE_AT).unwrap_or(0)
    }

    /// Whether no group has a copy on any medium.
    pub(super) fn has_no_copies(self) -> bool {
        self.0 & ((1 << MEMBER_AT) - 1) == 0 && self.side() == 0
    }

    pub(super) fn copies(self, medium: Medium) -> u32 {
        let bits = self.0 >> (medium as u32 * COPIES_BITS);
        u32::try_from(bits & u64::from(COPIES_MAX)).unwrap_or(0)
    }

    pub(super) fn set_copies(&mut self, medium: Medium, count: u32) {
        let at = medium as u32 * COPIES_BITS;
        self.0 = self.0 & !(u64::from(COPIES_MAX) << at) | u64::from(count.min(COPIES_MAX)) << at;
    }

    pub(super) fn member(self, medium: Medium) -> bool {
        self.0 >> (MEMBER_AT + medium as u32) & 1 == 1
    }

    pub(super) fn set_member(&mut self, medium: Medium, member: bool) {
        let bit = 1 << (MEMBER_AT + medium as u32);
        self.0 = if member { self.0 | bit } else { self.0 & !bit };
    }

    pub(super) fn shared(self) -> bool {
        self.0 >> SHARED_AT & 1 == 1
    }

    pub(super) fn set_shared(&mut self) {
        self.0 |= 1 << SHARED_AT;
    }

    pub(super) fn side(self) -> u64 {
        self.0 >> SIDE_AT & SIDE_MASK
    }

    pub(super) fn add_side(&mut self, change: i64) {
        let side = self.side().wrapping_add_signed(change) & SIDE_MASK;
        self.0 = self.0 & !(SIDE_MASK << SIDE_AT) | side << SIDE_AT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_touch_one_another() {
        let mut meta = Meta::new(1023);
        meta.set_shared();
        for _ in 0..28 {
            meta.add_side(1);
        }
        for (medium, count) in Medium::ALL.into_iter().zip([1, COPIES_MAX, 7, 0]) {
            meta.set_copies(medium, count);
            meta.set_member(medium, count > 0);
        }
        assert_eq!(meta.space(), 1023);
        assert_eq!(meta.side(), 28);
        assert!(meta.shared());
        assert_eq!(Medium::ALL.map(|m| meta.copies(m)), [1, COPIES_MAX, 7, 0]);
        assert_eq!(
            Medium::ALL.map(|m| meta.member(m)),
            [true, true, true, false]
        );
        for _ in 0..28 {
            meta.add_side(-1);
        }
        for medium in Medium::ALL {
            meta.set_copies(medium, 0);
        }
        assert!(meta.has_no_copies());
        assert_ne!(meta, Meta::FREE);
        assert_eq!(meta.space(), 1023);
    }
}
