//! The allocator that every structure is measured with: mimalloc, counted.

#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

/// Threads share this many counters, so that counting costs them no common
/// cache line.
const COUNTERS: usize = 32;

#[repr(align(128))]
struct Counter(AtomicIsize);

static LIVE: [Counter; COUNTERS] = [const { Counter(AtomicIsize::new(0)) }; COUNTERS];
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Bytes that are allocated now, as their owners asked for them: without what
/// the allocator itself adds. Exact while no thread allocates.
pub(crate) fn live_bytes() -> isize {
    LIVE.iter()
        .map(|counter| counter.0.load(Ordering::Relaxed))
        .sum()
}

fn count(bytes: isize) {
    // A thread that is ending has no number any more.
    let counter = MINE.try_with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(THREADS.fetch_add(1, Ordering::Relaxed) % COUNTERS);
        }
        mine.get()
    });
    LIVE[counter.unwrap_or(0)]
        .0
        .fetch_add(bytes, Ordering::Relaxed);
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

// SAFETY: hands every call on to mimalloc, unchanged, and adds up sizes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { MiMalloc.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(signed(size) - signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { MiMalloc.realloc(at, layout, size) }
    }
}
