//! The comparison along a run with registers of 256 bits, where there are any.
//!
//! It is the same code, compiled twice: eight keys are two registers instead of
//! four, and a long lookup spends most of its time here.

use proto_model::BlockKey;

use crate::page::Page;
use crate::set_id::SetId;
use crate::shares::Shares;

/// [`Page::groups_with`] in the way that suits this processor.
#[inline]
pub(crate) fn groups_with(
    page: &Page,
    offset: usize,
    set: SetId,
    keys: &[BlockKey],
    shares: &Shares,
) -> usize {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "the compiler cannot know the processor")]
        // SAFETY: the processor has just been asked.
        return unsafe { groups_with_avx2(page, offset, set, keys, shares) };
    }
    page.groups_with(offset, set, keys, shares)
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "avx2")]
fn groups_with_avx2(
    page: &Page,
    offset: usize,
    set: SetId,
    keys: &[BlockKey],
    shares: &Shares,
) -> usize {
    page.groups_with(offset, set, keys, shares)
}
