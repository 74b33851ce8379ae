//! What readers see. Everything here is changed by one writer and read by any
//! number of readers at the same time, through atomics only.

#[cfg(test)]
mod interleave;

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use proto_model::{BlockKey, Holder};

use crate::page::{PAGE, Page};
use crate::set_id::SetId;
use crate::shares::Shares;
use crate::table::{KeyHash, SUB_TABLES, SubTable};

/// Words per set page; no record is longer.
pub(crate) const SET_PAGE: usize = 8192;

/// Keys searched for side by side, where blocks lie here and there.
pub(crate) const TOUCH: usize = 16;

/// Marks a living holder in the roster.
const LIVE: u64 = 1 << 32;

/// The one thing that a lookup and the writer share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Where everything is now.
    pub(crate) core: ArcSwap<Core>,
    /// Grows before anything is used a second time (block slots, set records,
    /// holder slots) and after every new `core`. A lookup during which it stood
    /// still has seen every name with one meaning only.
    pub(crate) epoch: AtomicU64,
    /// Memberships refused for want of memory.
    pub(crate) overflowed: AtomicU64,
    /// Lookups begun again because the epoch moved.
    pub(crate) retries: AtomicU64,
}

impl Shared {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self {
            core: ArcSwap::new(core),
            epoch: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            retries: AtomicU64::new(0),
        }
    }

    /// Lets readers see a new core.
    pub(crate) fn publish(&self, core: &Arc<Core>) {
        self.core.store(Arc::clone(core));
        self.bump();
    }

    /// Makes every lookup now under way begin again. What the caller stores
    /// afterwards is seen only together with the new epoch.
    pub(crate) fn bump(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        fence(Ordering::Release);
    }
}

/// Pages by number; a place is filled once, and emptied only in a later core.
pub(crate) type Directory<T> = Arc<[OnceLock<Arc<T>>]>;

/// A directory with room for `len` pages that begins like `old`, without the
/// pages for which `keep` is false.
pub(crate) fn directory<T>(
    old: &[OnceLock<Arc<T>>],
    len: usize,
    keep: impl Fn(usize) -> bool,
) -> Directory<T> {
    let place = |number: usize| {
        let page = OnceLock::new();
        if let Some(old) = old
            .get(number)
            .and_then(OnceLock::get)
            .filter(|_| keep(number))
        {
            let _first = page.set(Arc::clone(old));
        }
        page
    };
    (0..len).map(place).collect()
}

/// Records of holder sets: a header (count of lanes in the low 16 bits, above
/// it the writer's count of references), then the lanes.
#[derive(Debug)]
pub(crate) struct SetPage(pub(crate) Box<[AtomicU64]>);

impl SetPage {
    pub(crate) fn new() -> Self {
        Self((0..SET_PAGE).map(|_| AtomicU64::new(0)).collect())
    }
}

/// A lookup met something that a newer core would explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Torn;

/// Where everything is. Replaced as a whole when a part must move; the parts
/// that need not move are shared between the old and the new.
#[derive(Debug, Clone)]
pub(crate) struct Core {
    pub(crate) seed: u64,
    pub(crate) shares: Shares,
    pub(crate) table: Box<[SubTable]>,
    pub(crate) pages: Directory<Page>,
    pub(crate) set_pages: Directory<SetPage>,
    /// Holder slot to holder.
    pub(crate) roster: Arc<[AtomicU64]>,
}

/// A block that was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) page: &'a Page,
    pub(crate) offset: usize,
    pub(crate) set: SetId,
}

impl Core {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            shares: Shares::new(seed),
            table: (0..SUB_TABLES).map(|_| SubTable::new(0)).collect(),
            pages: directory(&[], 64, |_| false),
            set_pages: directory(&[], 1024, |_| false),
            roster: (0..64).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    #[inline]
    pub(crate) fn hash(&self, key: u64) -> KeyHash {
        KeyHash::of(key, self.seed)
    }

    /// The page of a slot and the offset in it.
    #[inline]
    pub(crate) fn page(&self, slot: u32) -> Result<(&Page, usize), Torn> {
        let page = self
            .pages
            .get(slot as usize / PAGE)
            .and_then(OnceLock::get)
            .ok_or(Torn)?;
        Ok((page, slot as usize % PAGE))
    }

    /// Finds a block that somebody holds.
    #[inline]
    pub(crate) fn find(&self, key: u64) -> Result<Option<Found<'_>>, Torn> {
        let hash = self.hash(key);
        let table = &self.table[hash.sub];
        let mut bucket = table.home(hash.tag);
        for _ in 0..table.span() {
            let scan = table.scan(bucket, hash.tag);
            for at in scan.alike() {
                if let Some(found) = self.follow(table, at, (hash.tag, key))? {
                    return Ok(Some(found));
                }
            }
            if scan.is_last() {
                return Ok(None);
            }
            bucket = table.next(bucket);
        }
        Ok(None)
    }

    /// The block that an entry names, if it is the one with the tag and key.
    #[inline]
    fn follow(
        &self,
        table: &SubTable,
        at: usize,
        (tag, key): (u32, u64),
    ) -> Result<Option<Found<'_>>, Torn> {
        loop {
            let entry = table.get(at);
            if entry.tag != tag {
                return Ok(None);
            }
            let found = self.look(entry.slot, key)?;
            // If the entry has changed the block has just been moved.
            if found.is_some() || table.get(at) == entry {
                return Ok(found);
            }
        }
    }

    /// The block in a slot, if it is the one with the key, and held.
    #[inline]
    fn look(&self, slot: u32, key: u64) -> Result<Option<Found<'_>>, Torn> {
        #[cfg(test)]
        interleave::now(self);
        let (page, offset) = self.page(slot)?;
        page.prefetch_run(offset);
        Ok(page
            .set_of(offset, key)
            .map(|set| Found { page, offset, set }))
    }

    /// Asks for the memory that a search for each of the keys will need, all of
    /// them side by side: the processor then waits once, not once per key.
    pub(crate) fn touch(&self, keys: &[BlockKey]) {
        let mut hashes = [KeyHash::default(); TOUCH];
        for (hash, key) in hashes.iter_mut().zip(keys) {
            *hash = self.prefetch_entry(key.0);
        }
        for hash in &hashes[..keys.len().min(TOUCH)] {
            self.prefetch_block(*hash);
        }
    }

    /// Asks for the part of the table where a key belongs; gives its hash.
    #[inline]
    pub(crate) fn prefetch_entry(&self, key: u64) -> KeyHash {
        let hash = self.hash(key);
        self.table[hash.sub].prefetch(hash.tag);
        hash
    }

    /// The same for the writer, who will change it.
    #[inline]
    pub(crate) fn claim_entry(&self, key: u64) -> KeyHash {
        let hash = self.hash(key);
        self.table[hash.sub].prefetch_to_write(hash.tag);
        hash
    }

    /// Asks for the block that the table probably names.
    #[inline]
    pub(crate) fn prefetch_block(&self, hash: KeyHash) {
        if let Some(slot) = self.table[hash.sub].likely_slot(hash.tag)
            && let Ok((page, offset)) = self.page(slot)
        {
            page.prefetch(offset);
        }
    }

    /// The lanes of a record.
    #[inline]
    pub(crate) fn lanes(&self, record: u32) -> Result<&[AtomicU64], Torn> {
        let page = record as usize / SET_PAGE;
        let words = &self
            .set_pages
            .get(page)
            .and_then(OnceLock::get)
            .ok_or(Torn)?
            .0;
        let begin = record as usize % SET_PAGE;
        let lanes = words[begin].load(Ordering::Acquire) & 0xffff;
        words.get(begin + 1..begin + 1 + lanes as usize).ok_or(Torn)
    }

    /// The living holder of a slot.
    #[inline]
    pub(crate) fn holder(&self, slot: u32) -> Option<Holder> {
        living(self.roster.get(slot as usize)?)
    }

    /// The roster from a slot on.
    #[inline]
    pub(crate) fn roster_from(&self, first: u32) -> &[AtomicU64] {
        self.roster.get(first as usize..).unwrap_or_default()
    }

    /// Says who lives in a slot.
    pub(crate) fn put_holder(&self, slot: u32, holder: Option<Holder>) {
        let word = holder.map_or(0, |holder| LIVE | u64::from(holder.0));
        self.roster[slot as usize].store(word, Ordering::Release);
    }
}

/// Who lives in a place of the roster.
#[inline]
pub(crate) fn living(place: &AtomicU64) -> Option<Holder> {
    let word = place.load(Ordering::Acquire);
    (word & LIVE != 0).then_some(Holder(word as u32))
}
