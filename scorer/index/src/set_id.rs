//! A holder set as 32 bits.

use proto_model::MediumSet;

/// Names a set of (holder slot, media): 0 the empty set; with the top bit, one
/// slot with its media, in the id itself; else the word in the set pages where
/// the set's record begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SetId(pub(crate) u32);

/// A [`SetId`] taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetView {
    Empty,
    One { slot: u32, media: MediumSet },
    Record(u32),
}

const ONE: u32 = 1 << 31;

impl SetId {
    pub(crate) const EMPTY: Self = Self(0);

    /// The set of one slot; empty if `media` is.
    #[inline]
    pub(crate) fn one(slot: u32, media: MediumSet) -> Self {
        if media.is_empty() {
            Self::EMPTY
        } else {
            Self(ONE | slot << 4 | u32::from(media.bits()))
        }
    }

    #[inline]
    pub(crate) fn view(self) -> SetView {
        if self.0 & ONE != 0 {
            let media = MediumSet::from_bits(self.0 as u8 & 15);
            SetView::One {
                slot: (self.0 & !ONE) >> 4,
                media,
            }
        } else if self.0 == 0 {
            SetView::Empty
        } else {
            SetView::Record(self.0)
        }
    }
}
