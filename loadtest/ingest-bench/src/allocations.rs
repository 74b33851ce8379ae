//! The allocator of the released binary, with every allocation counted.

#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

thread_local! {
    static MADE: Cell<u64> = const { Cell::new(0) };
}

/// Allocations that this thread has made so far, those that grow included.
pub(crate) fn made() -> u64 {
    MADE.with(Cell::get)
}

fn count() {
    // A thread that is ending counts no more.
    let _ = MADE.try_with(|made| made.set(made.get() + 1));
}

// SAFETY: hands every call on to mimalloc, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { MiMalloc.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { MiMalloc.realloc(at, layout, size) }
    }
}
