//! How long a piece of the table should be.

use super::MIN_LEN;

/// The length that a piece with so many entries should be rebuilt to before one
/// more comes: over four fifths too many searches go on to a second bucket.
#[inline]
pub(crate) fn grow_to(live: u32, len: usize) -> Option<usize> {
    let live = live as usize;
    (live >= len / 5 * 4).then_some(live * 2)
}

/// The length that it should be rebuilt to because it is too large; `idle`:
/// nobody waits.
#[inline]
pub(crate) fn shrink_to(live: u32, len: usize, idle: bool) -> Option<usize> {
    let (live, part) = (live as usize, if idle { 2 } else { 4 });
    (len > 4 * MIN_LEN && live < len / part).then_some((live * 3 / 2).max(MIN_LEN))
}
