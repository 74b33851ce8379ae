//! Asking for memory before it is needed.
//!
//! A search in the table goes to a cache line that nothing else has just used.
//! Reading it beforehand would help too, but a read must come back before the
//! processor can forget it: a few dozen are the most that can be under way. A
//! prefetch is forgotten at once, so that the wait for the next keys' lines and
//! the work on the present key are one time and not two.

/// Asks for the first cache line of something that will be read or written soon.
#[inline]
pub(crate) fn prefetch<T>(soon: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[expect(unsafe_code, reason = "the only way to name the instruction")]
    // SAFETY: SSE, which has the instruction, is part of x86-64. It changes
    // nothing that a program can see, and cannot fail, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(soon).cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _nothing = soon;
}
