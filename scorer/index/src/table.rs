//! From a block key's hash to the slot where the block lies.
//!
//! Open addressing in [`SUB_TABLES`] independent pieces, so that growing one is
//! short. A piece is a row of buckets of one cache line each:
//!
//! ```text
//!  word 0: marks     words 1 to 7: entries
//! ┌───────────────┬──────────────────┬─────────
//! │ p m6 ... m1 m0│ tag 32 │ slot 32 │ ...        m: 0 if the place is vacant, else from the tag
//! └───────────────┴──────────────────┴─────────   p: how many entries have gone past this bucket
//! ```
//!
//! A search compares all marks of the key's home bucket at once, and goes on to
//! the next bucket only if entries are there that found no place in this one. The tag is also what the home is computed
//! from, order-preserving, so a piece is rebuilt by one pass over it without a
//! look at the keys.

mod fit;
mod rebuild;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::prefetch::{prefetch, prefetch_to_write};

pub(crate) use fit::{grow_to, shrink_to};

/// Pieces of the table.
pub(crate) const SUB_TABLES: usize = 256;

/// Entries of a bucket: with the marks a cache line of 64 bytes.
const BUCKET: usize = 7;

/// Entries of a piece at least.
const MIN_LEN: usize = 2 * BUCKET;

/// The highest bit of the marks of all places.
const HIGH: u64 = 0x0080_8080_8080_8080;
/// The others.
const REST: u64 = 0x007f_7f7f_7f7f_7f7f;
/// One in every place.
const ONES: u64 = 0x0001_0101_0101_0101;
/// One entry that has gone past this bucket to the next.
const PAST: u64 = 1 << 56;
/// As many as can be counted; from there on nobody knows.
const MANY: u64 = 0xff << 56;

/// Where a key belongs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KeyHash {
    /// Which piece.
    pub(crate) sub: usize,
    /// Decides the home bucket, and tells most other keys apart.
    pub(crate) tag: u32,
}

impl KeyHash {
    /// Mixes the key with a seed, so that nobody can choose keys that collide.
    #[inline]
    pub(crate) fn of(key: u64, seed: u64) -> Self {
        let product = u128::from(key ^ seed) * 0x9e37_79b9_7f4a_7c15_u128;
        let hash = (product >> 64) as u64 ^ product as u64;
        Self {
            sub: (hash >> 56) as usize,
            tag: (hash >> 24) as u32,
        }
    }
}

/// See the module's words.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket {
    marks: AtomicU64,
    entries: [AtomicU64; BUCKET],
}

/// One piece. A clone is the same piece.
#[derive(Debug, Clone)]
pub(crate) struct SubTable {
    buckets: Arc<[Bucket]>,
}

/// What the marks of a bucket say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan {
    /// The position of the bucket's first place.
    begin: usize,
    marks: u64,
    /// The tag's mark in every place.
    wanted: u64,
}

impl Scan {
    /// Positions of entries that may have the tag: surely those that do.
    #[inline]
    pub(crate) fn alike(self) -> impl Iterator<Item = usize> {
        let mut rest = zeros(self.marks ^ self.wanted);
        std::iter::from_fn(move || {
            (rest != 0).then(|| {
                let place = rest.trailing_zeros() as usize / 8;
                rest &= rest - 1;
                self.begin + place
            })
        })
    }

    /// A position that an entry could take.
    #[inline]
    pub(crate) fn vacant(self) -> Option<usize> {
        let vacant = zeros(self.marks);
        (vacant != 0).then(|| self.begin + vacant.trailing_zeros() as usize / 8)
    }

    /// Whether no search goes beyond this bucket.
    #[inline]
    pub(crate) fn is_last(self) -> bool {
        self.marks & MANY == 0
    }
}

/// The high bit of every place that is 0, and of no other.
#[inline]
fn zeros(marks: u64) -> u64 {
    !(((marks & REST) + REST) | marks) & HIGH
}

#[inline]
fn mark(tag: u32) -> u64 {
    u64::from((tag as u8).max(1))
}

/// The bucket, of so many, where a search for the tag begins.
#[inline]
fn home(tag: u32, buckets: usize) -> usize {
    ((u64::from(tag) * buckets as u64) >> 32) as usize
}

impl SubTable {
    pub(crate) fn new(len: usize) -> Self {
        let buckets = len.max(MIN_LEN).div_ceil(BUCKET);
        Self {
            buckets: (0..buckets).map(|_| Bucket::default()).collect(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.buckets.len() * BUCKET
    }

    pub(crate) fn bytes(&self) -> usize {
        self.buckets.len() * size_of::<Bucket>()
    }

    /// The bucket where a search for the tag begins.
    #[inline]
    pub(crate) fn home(&self, tag: u32) -> usize {
        home(tag, self.buckets.len())
    }

    /// The bucket after another.
    #[inline]
    pub(crate) fn next(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.len() {
            0
        } else {
            bucket + 1
        }
    }

    /// Buckets.
    pub(crate) fn span(&self) -> usize {
        self.buckets.len()
    }

    /// Looks at the marks of a bucket.
    #[inline]
    pub(crate) fn scan(&self, bucket: usize, tag: u32) -> Scan {
        Scan {
            begin: bucket * BUCKET,
            marks: self.buckets[bucket].marks.load(Ordering::Acquire),
            wanted: mark(tag) * ONES,
        }
    }

    /// The entry at a position.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> Entry {
        self.place(at).load(Ordering::Acquire).into()
    }

    /// The first slot with the tag in its home bucket: nearly always the right
    /// one.
    #[inline]
    pub(crate) fn likely_slot(&self, tag: u32) -> Option<u32> {
        let mut alike = self.scan(self.home(tag), tag).alike();
        let at = alike.find(|at| self.get(*at).tag == tag)?;
        Some(self.get(at).slot)
    }

    /// Whether no entry has the tag.
    #[inline]
    pub(crate) fn is_absent(&self, tag: u32) -> bool {
        self.search(tag, |entry| entry.tag == tag).is_none()
    }

    /// Where the entry is that says this of a tag.
    #[inline]
    pub(crate) fn position(&self, tag: u32, slot: u32) -> Option<usize> {
        self.search(tag, |entry| entry == Entry { tag, slot })
    }

    /// The first entry that suits among those that may have the tag.
    #[inline]
    fn search(&self, tag: u32, suits: impl Fn(Entry) -> bool) -> Option<usize> {
        let mut bucket = self.home(tag);
        for _ in 0..self.span() {
            let scan = self.scan(bucket, tag);
            if let Some(at) = scan.alike().find(|at| suits(self.get(*at))) {
                return Some(at);
            }
            if scan.is_last() {
                return None;
            }
            bucket = self.next(bucket);
        }
        None
    }

    /// Asks for the memory that a search for the tag begins with.
    #[inline]
    pub(crate) fn prefetch(&self, tag: u32) {
        prefetch(&self.buckets[self.home(tag)]);
    }

    /// The same, of memory that will be written.
    #[inline]
    pub(crate) fn prefetch_to_write(&self, tag: u32) {
        prefetch_to_write(&self.buckets[self.home(tag)]);
    }

    /// Points the entry at another slot.
    #[inline]
    pub(crate) fn set(&self, at: usize, tag: u32, slot: u32) {
        let entry = Entry { tag, slot };
        self.place(at).store(entry.into(), Ordering::Release);
    }

    /// Adds an entry: to `at`, which is the first vacant place from its home on.
    #[inline]
    pub(crate) fn insert(&self, at: usize, tag: u32, slot: u32) {
        let mut bucket = self.home(tag);
        while bucket != at / BUCKET {
            let marks = &self.buckets[bucket].marks;
            let before = marks.load(Ordering::Relaxed);
            if before & MANY != MANY {
                marks.store(before + PAST, Ordering::Release);
            }
            bucket = self.next(bucket);
        }
        self.set(at, tag, slot);
        let marks = &self.buckets[bucket].marks;
        let mine = mark(tag) << (at % BUCKET * 8);
        marks.store(marks.load(Ordering::Relaxed) | mine, Ordering::Release);
    }

    /// The first place that an entry with the tag can take.
    #[inline]
    pub(crate) fn vacancy(&self, tag: u32) -> usize {
        let mut bucket = self.home(tag);
        loop {
            if let Some(at) = self.scan(bucket, tag).vacant() {
                return at;
            }
            bucket = self.next(bucket);
        }
    }

    /// Takes the entry away, which has the tag.
    #[inline]
    pub(crate) fn remove(&self, at: usize, tag: u32) {
        let marks = &self.buckets[at / BUCKET].marks;
        let others = !(0xff << (at % BUCKET * 8));
        marks.store(marks.load(Ordering::Relaxed) & others, Ordering::Release);
        let mut bucket = self.home(tag);
        while bucket != at / BUCKET {
            let marks = &self.buckets[bucket].marks;
            let before = marks.load(Ordering::Relaxed);
            if before & MANY != MANY {
                marks.store(before - PAST, Ordering::Release);
            }
            bucket = self.next(bucket);
        }
    }

    /// Positions of all entries.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(|at| {
            let marks = self.buckets[at / BUCKET].marks.load(Ordering::Relaxed);
            marks >> (at % BUCKET * 8) & 0xff != 0
        })
    }

    #[inline]
    fn place(&self, at: usize) -> &AtomicU64 {
        &self.buckets[at / BUCKET].entries[at % BUCKET]
    }
}

/// What one place of a piece says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) tag: u32,
    pub(crate) slot: u32,
}

impl From<u64> for Entry {
    fn from(word: u64) -> Self {
        Self {
            tag: (word >> 32) as u32,
            slot: word as u32,
        }
    }
}

impl From<Entry> for u64 {
    fn from(entry: Entry) -> Self {
        Self::from(entry.tag) << 32 | Self::from(entry.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All tags have one home, so that most entries lie in other buckets.
    #[test]
    fn entries_that_went_on_are_found_and_leave_no_trace() {
        let table = SubTable::new(10 * BUCKET);
        let find = |table: &SubTable, tag: u32| {
            let mut bucket = table.home(tag);
            loop {
                let scan = table.scan(bucket, tag);
                if let Some(at) = scan.alike().find(|at| table.get(*at).tag == tag) {
                    return Some(table.get(at).slot);
                }
                if scan.is_last() {
                    return None;
                }
                bucket = table.next(bucket);
            }
        };
        for tag in 0..20 {
            table.insert(table.vacancy(tag), tag, tag + 100);
        }
        for gone in 0..15 {
            let at = table.taken().find(|at| table.get(*at).tag == gone);
            table.remove(at.expect("inserted"), gone);
            for tag in 0..20 {
                assert_eq!(find(&table, tag), (tag > gone).then_some(tag + 100));
            }
        }
        let table = table.rebuilt(3 * BUCKET);
        assert_eq!(table.taken().count(), 5);
        assert!((15..20).all(|tag| find(&table, tag) == Some(tag + 100)));
        assert!(table.scan(0, 0).is_last(), "all are at home again");
        for tag in 15..20 {
            let at = table.taken().find(|at| table.get(*at).tag == tag);
            table.remove(at.expect("inserted"), tag);
        }
        assert!((0..3).all(|bucket| table.scan(bucket, 0).marks == 0));
    }

    #[test]
    fn a_vacant_place_is_found_behind_marks_of_one() {
        let table = SubTable::new(BUCKET);
        for (at, tag) in [0_u32, 1, 256, 0x101].into_iter().enumerate() {
            assert_eq!(table.vacancy(tag), at);
            table.insert(at, tag, 9);
        }
    }
}
