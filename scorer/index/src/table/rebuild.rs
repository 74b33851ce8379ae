//! A piece of the table in another length.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Bucket, Entry, HIGH, MANY, PAST, SubTable, home, mark, zeros};

impl SubTable {
    /// The same entries in a new piece of `len` places. Homes keep their order, so
    /// this is one pass over both.
    pub(crate) fn rebuilt(&self, len: usize) -> Self {
        let mut table = Self::new(len);
        // Nobody else has it yet, so this is always the case.
        if let Some(buckets) = Arc::get_mut(&mut table.buckets) {
            for bucket in &*self.buckets {
                let marks = bucket.marks.load(Ordering::Relaxed);
                let mut taken = !zeros(marks) & HIGH;
                while taken != 0 {
                    let entry = &bucket.entries[taken.trailing_zeros() as usize / 8];
                    enter(buckets, entry.load(Ordering::Relaxed).into());
                    taken &= taken - 1;
                }
            }
        }
        table
    }
}

/// Adds an entry to buckets that nobody reads yet, at the first vacant place from
/// its home on.
#[inline]
fn enter(buckets: &mut [Bucket], entry: Entry) {
    let mut bucket = home(entry.tag, buckets.len());
    loop {
        let Bucket { marks, entries } = &mut buckets[bucket];
        let marks = marks.get_mut();
        let vacant = zeros(*marks);
        if vacant != 0 {
            let place = vacant.trailing_zeros() / 8;
            *marks |= mark(entry.tag) << (place * 8);
            *entries[place as usize].get_mut() = entry.into();
            return;
        }
        if *marks & MANY != MANY {
            *marks += PAST;
        }
        bucket = if bucket + 1 == buckets.len() {
            0
        } else {
            bucket + 1
        };
    }
}
