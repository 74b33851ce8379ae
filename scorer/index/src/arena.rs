//! Which block slots are free: the writer's own book about the pages.
//!
//! A block goes right behind its predecessor wherever that slot is free, so that
//! chains stay in sequence. A slot that is given back *rests* first: it is used
//! again only after the epoch has moved ([`Arena::wake`]), because a lookup may
//! still be looking at it.

use crate::page::{GROUP, PAGE};

const WORDS: usize = PAGE / 64;

/// Bits of a group that begins at bit 0.
const GROUP_BITS: u64 = (1 << GROUP) - 1;

/// Pages looked at per search for one with room.
const SCAN: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Does not exist.
    Absent,
    /// Takes blocks.
    Open,
    /// Is being emptied, and takes none.
    Victim,
}

#[derive(Debug, Clone)]
struct PageBook {
    free: [u64; WORDS],
    free_count: u16,
    state: State,
    /// Whether the page is in [`Arena::empty`].
    listed: bool,
}

/// Which pages a new run of blocks may begin in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seek {
    /// Empty ones, and well-filled ones only if much is free altogether.
    Roomy,
    /// The same, and from the begin of a group on: for many blocks.
    Aligned,
    /// Empty ones, and not those of new runs: for blocks that are moved together.
    Packed,
    /// Any with a free slot.
    Any,
}

/// See the module's words.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    books: Vec<PageBook>,
    /// Pages that may have no block.
    empty: Vec<u32>,
    /// Numbers of pages that do not exist, below `books.len()`.
    absent: Vec<u32>,
    /// Where the next run begins if it can.
    frontier: Option<u32>,
    /// Where the next blocks are moved to.
    packing: Option<u32>,
    /// Free slots in open pages.
    free: usize,
    /// Pages that exist.
    present: usize,
    resting: Vec<u32>,
    /// First slots of groups that rest as a whole.
    resting_groups: Vec<u32>,
    scan: usize,
}

impl Arena {
    /// Bytes of the books, not of the pages.
    pub(crate) fn bytes(&self) -> usize {
        self.books.capacity() * size_of::<PageBook>()
            + (self.empty.capacity() + self.absent.capacity()) * 4
            + (self.resting.capacity() + self.resting_groups.capacity()) * 4
    }

    /// Pages that exist.
    pub(crate) fn present(&self) -> usize {
        self.present
    }

    /// One more than the highest page number ever used.
    pub(crate) fn span(&self) -> usize {
        self.books.len()
    }

    pub(crate) fn is_present(&self, page: usize) -> bool {
        self.books[page].state != State::Absent
    }

    /// Free slots, those at rest not counted.
    pub(crate) fn usable(&self) -> usize {
        self.free
    }

    /// Slots given back and not usable yet.
    pub(crate) fn resting(&self) -> usize {
        self.resting.len() + self.resting_groups.len() * GROUP
    }

    /// Takes a slot, if possible the one after `after`.
    #[inline]
    pub(crate) fn take(&mut self, after: Option<u32>, seek: Seek) -> Option<u32> {
        let next = after.and_then(|slot| slot.checked_add(1));
        if let Some(next) = next.filter(|next| self.is_free(*next)) {
            return Some(self.mark_taken(next));
        }
        loop {
            let slot = self.frontier(seek).and_then(|from| match seek {
                Seek::Aligned => self.first_group(from).or_else(|| self.first_free(from)),
                _ => self.first_free(from),
            });
            if let Some(slot) = slot {
                *self.frontier_mut(seek) =
                    Some(slot + 1).filter(|next| !(*next as usize).is_multiple_of(PAGE));
                return Some(self.mark_taken(slot));
            }
            *self.frontier_mut(seek) = Some(self.page_with_room(seek)? * PAGE as u32);
        }
    }

    #[inline]
    fn frontier(&self, seek: Seek) -> Option<u32> {
        match seek {
            Seek::Packed => self.packing,
            Seek::Roomy | Seek::Aligned | Seek::Any => self.frontier,
        }
    }

    #[inline]
    fn frontier_mut(&mut self, seek: Seek) -> &mut Option<u32> {
        match seek {
            Seek::Packed => &mut self.packing,
            Seek::Roomy | Seek::Aligned | Seek::Any => &mut self.frontier,
        }
    }

    /// The first slot of the group that a run would go on with, if all of that is
    /// free: right after `after`, or where a new run would begin.
    #[inline]
    pub(crate) fn next_group(&self, after: Option<u32>, seek: Seek) -> Option<u32> {
        let next = after.and_then(|slot| slot.checked_add(1));
        let Some(next) = next.filter(|next| self.is_free(*next)) else {
            return self.first_group(self.frontier(seek)?);
        };
        if !(next as usize).is_multiple_of(GROUP) {
            return None;
        }
        let (page, word, bit) = split(next);
        let group = bit * GROUP_BITS;
        (self.books[page].free[word] & group == group).then_some(next)
    }

    /// Takes a group that [`Arena::next_group`] has just named.
    #[inline]
    pub(crate) fn take_group(&mut self, first: u32) {
        let (page, word, bit) = split(first);
        let book = &mut self.books[page];
        book.free[word] &= !(bit * GROUP_BITS);
        book.free_count -= GROUP as u16;
        self.free -= GROUP;
    }

    /// Gives a slot back, to rest.
    #[inline]
    pub(crate) fn rest(&mut self, slot: u32) {
        self.resting.push(slot);
    }

    /// Gives all slots of a group back, to rest.
    #[inline]
    pub(crate) fn rest_group(&mut self, first: u32) {
        self.resting_groups.push(first);
    }

    /// Makes the slots at rest usable. The epoch has moved since they were given.
    pub(crate) fn wake(&mut self) {
        let mut resting = std::mem::take(&mut self.resting);
        resting.drain(..).for_each(|slot| self.free(slot, 1));
        self.resting = resting;
        let mut resting = std::mem::take(&mut self.resting_groups);
        resting.drain(..).for_each(|first| self.free(first, GROUP));
        self.resting_groups = resting;
    }

    /// Makes slots of one group usable.
    #[inline]
    fn free(&mut self, first: u32, slots: usize) {
        let (page, word, bit) = split(first);
        let book = &mut self.books[page];
        book.free[word] |= if slots == GROUP {
            bit * GROUP_BITS
        } else {
            bit
        };
        book.free_count += slots as u16;
        let emptied = usize::from(book.free_count) == PAGE;
        match book.state {
            State::Victim if emptied => {
                book.state = State::Open;
                self.free += PAGE;
            }
            State::Open => self.free += slots,
            State::Victim | State::Absent => {}
        }
        if emptied && !book.listed {
            book.listed = true;
            self.empty.push(page as u32);
        }
    }

    /// The number that the next new page should have.
    pub(crate) fn next_page(&self) -> u32 {
        self.absent
            .last()
            .copied()
            .unwrap_or(self.books.len() as u32)
    }

    /// Enters the page [`Arena::next_page`], which now exists.
    pub(crate) fn add_page(&mut self) {
        let book = PageBook {
            free: [!0; WORDS],
            free_count: PAGE as u16,
            state: State::Open,
            listed: true,
        };
        let page = self.next_page();
        if self.absent.pop().is_some() {
            self.books[page as usize] = book;
        } else {
            self.books.push(book);
        }
        self.empty.push(page);
        self.present += 1;
        self.free += PAGE;
    }

    /// If so many pages are empty that it is worth it, strikes them out.
    pub(crate) fn drop_empty_pages(&mut self, idle: bool) -> bool {
        if self.empty.len() <= 2 + if idle { 0 } else { self.present / 8 } {
            return false;
        }
        for page in std::mem::take(&mut self.empty) {
            let book = &mut self.books[page as usize];
            book.listed = false;
            if book.state == State::Open && usize::from(book.free_count) == PAGE {
                book.state = State::Absent;
                book.free_count = 0;
                book.free = [0; WORDS];
                self.free -= PAGE;
                self.present -= 1;
                self.absent.push(page);
            }
        }
        true
    }

    /// If much of all slots is free (half, or a tenth when there is time), a page
    /// with as much free, which from now on takes no more blocks.
    pub(crate) fn choose_victim(&mut self, idle: bool) -> Option<u32> {
        let (part, scan) = if idle {
            (10, self.books.len())
        } else {
            (2, SCAN)
        };
        if self.present < 8 || self.free < self.present * PAGE / part {
            return None;
        }
        let fronts = [self.frontier, self.packing].map(|f| f.map(|slot| slot as usize / PAGE));
        let worth = |book: &PageBook| (PAGE / part..PAGE).contains(&usize::from(book.free_count));
        let page = self.scan_for(scan, |page, book| {
            !fronts.contains(&Some(page)) && worth(book)
        })?;
        let book = &mut self.books[page];
        book.state = State::Victim;
        self.free -= usize::from(book.free_count);
        Some(page as u32)
    }

    /// Lets a victim take blocks again, because its own find no other place.
    pub(crate) fn spare(&mut self, page: u32) {
        let book = &mut self.books[page as usize];
        if book.state == State::Victim {
            book.state = State::Open;
            self.free += usize::from(book.free_count);
        }
    }

    fn page_with_room(&mut self, seek: Seek) -> Option<u32> {
        while let Some(page) = self.empty.pop() {
            let book = &mut self.books[page as usize];
            book.listed = false;
            if book.state == State::Open && usize::from(book.free_count) == PAGE {
                return Some(page);
            }
        }
        let page = match seek {
            Seek::Roomy | Seek::Aligned if self.free < self.present * PAGE / 4 => None,
            Seek::Roomy | Seek::Aligned => {
                self.scan_for(SCAN, |_, book| usize::from(book.free_count) >= PAGE / 8)
            }
            Seek::Packed => None,
            Seek::Any if self.free == 0 => None,
            Seek::Any => self
                .books
                .iter()
                .position(|b| b.state == State::Open && b.free_count > 0),
        };
        page.map(|page| page as u32)
    }

    /// An open page that suits, among the next few.
    fn scan_for(&mut self, few: usize, suits: impl Fn(usize, &PageBook) -> bool) -> Option<usize> {
        for _ in 0..few.min(self.books.len()) {
            self.scan = (self.scan + 1) % self.books.len();
            let book = &self.books[self.scan];
            if book.state == State::Open && suits(self.scan, book) {
                return Some(self.scan);
            }
        }
        None
    }

    #[inline]
    fn is_free(&self, slot: u32) -> bool {
        let (page, word, bit) = split(slot);
        self.books
            .get(page)
            .is_some_and(|book| book.state == State::Open && book.free[word] & bit != 0)
    }

    /// The first free slot of the page of `from`, from there on.
    #[inline]
    fn first_free(&self, from: u32) -> Option<u32> {
        self.first(from, |free| free)
    }

    /// The first group with nothing but free slots, likewise.
    #[inline]
    fn first_group(&self, from: u32) -> Option<u32> {
        self.first(from, whole_groups)
    }

    /// The first slot that `wanted` finds among the free ones of a word.
    #[inline]
    fn first(&self, from: u32, wanted: impl Fn(u64) -> u64) -> Option<u32> {
        let (page, first, bit) = split(from);
        let book = self
            .books
            .get(page)
            .filter(|book| book.state == State::Open)?;
        for word in first..WORDS {
            let behind = if word == first { !(bit - 1) } else { !0 };
            let found = wanted(book.free[word] & behind);
            if found != 0 {
                return Some((page * PAGE + word * 64) as u32 + found.trailing_zeros());
            }
        }
        None
    }

    #[inline]
    fn mark_taken(&mut self, slot: u32) -> u32 {
        let (page, word, bit) = split(slot);
        let book = &mut self.books[page];
        book.free[word] &= !bit;
        book.free_count -= 1;
        self.free -= 1;
        slot
    }
}

/// The first bit of every group that has all its bits.
#[inline]
fn whole_groups(mut free: u64) -> u64 {
    free &= free >> 1;
    free &= free >> 2;
    free &= free >> 4;
    free & (u64::MAX / GROUP_BITS)
}

/// Page, word in its map, bit in that.
#[inline]
fn split(slot: u32) -> (usize, usize, u64) {
    let (page, offset) = (slot as usize / PAGE, slot as usize % PAGE);
    (page, offset / 64, 1 << (offset % 64))
}
