//! Asking for memory before it is needed.
//!
//! A search in the table goes to a cache line that nothing else has just used.
//! Reading it beforehand would help too, but a read must come back before the
//! processor can forget it: a few dozen are the most that can be under way. A
//! prefetch is forgotten at once, so that the wait for the next keys' lines and
//! the work on the present key are one time and not two.

/// Asks for the first cache line of something that will be read soon.
#[inline]
pub(crate) fn prefetch<T>(soon: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    ask::<T, { std::arch::x86_64::_MM_HINT_T0 }>(soon);
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _nothing = soon;
}

/// The same for something that will be written: the line then belongs to this
/// processor alone, and no second wait comes with the write.
#[inline]
pub(crate) fn prefetch_to_write<T>(soon: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    ask::<T, { std::arch::x86_64::_MM_HINT_ET0 }>(soon);
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _nothing = soon;
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn ask<T, const HINT: i32>(soon: &T) {
    #[expect(unsafe_code, reason = "the only way to name the instruction")]
    // SAFETY: both instructions are part of x86-64 as every processor has it that
    // runs it (the second is skipped by those that do not know it). They change
    // nothing that a program can see, and cannot fail, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<HINT>(std::ptr::from_ref(soon).cast());
    }
}
