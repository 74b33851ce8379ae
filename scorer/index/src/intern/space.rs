//! Which words of the set pages are free.

use crate::shared::SET_PAGE;

/// Words of the longest record.
const RECORD_MAX: usize = SET_PAGE - 1;

/// Bytes of one page.
const PAGE_BYTES: usize = SET_PAGE * 8;

/// Pages below this many are not worth emptying.
const FEW: usize = 8;

/// Free records by size class, and the end of the newest page.
#[derive(Debug, Default)]
pub(crate) struct Space {
    free: Vec<Vec<u32>>,
    /// The next unused word and how many are left in its page.
    frontier: u32,
    left: usize,
    /// Pages ever used; whether each is being emptied.
    condemned: Vec<bool>,
    /// Numbers of pages that do not exist, below `condemned.len()`.
    absent: Vec<u32>,
    /// Words on the free lists.
    free_words: usize,
    /// Pages that exist.
    present: usize,
}

impl Space {
    pub(crate) fn bytes(&self) -> usize {
        self.present * (PAGE_BYTES + 48)
            + self
                .free
                .iter()
                .map(|class| class.capacity() * 4)
                .sum::<usize>()
            + self.free.capacity() * size_of::<Vec<u32>>()
            + self.condemned.capacity()
            + self.absent.capacity() * 4
    }

    pub(crate) fn span(&self) -> usize {
        self.condemned.len()
    }

    pub(crate) fn is_condemned(&self, record: u32) -> bool {
        self.condemned[record as usize / SET_PAGE]
    }

    /// Takes room for `words`, with a new page if `room` has its bytes and
    /// `add_page` succeeds.
    pub(crate) fn take(
        &mut self,
        words: usize,
        room: &mut usize,
        add_page: impl FnOnce(u32) -> bool,
    ) -> Option<u32> {
        let (class, size) = class_of(words);
        if words > RECORD_MAX {
            return None;
        }
        if let Some(record) = self.free.get_mut(class).and_then(Vec::pop) {
            self.free_words -= size;
            return Some(record);
        }
        if self.left < size {
            *room = room.checked_sub(PAGE_BYTES)?;
            let page = self
                .absent
                .last()
                .copied()
                .unwrap_or(self.condemned.len() as u32);
            if !add_page(page) {
                return None;
            }
            self.enter(page);
        }
        let record = self.frontier;
        self.frontier += size as u32;
        self.left -= size;
        Some(record)
    }

    /// Takes a record of `words` back.
    pub(crate) fn give(&mut self, record: u32, words: usize) {
        if self.is_condemned(record) {
            return;
        }
        let (class, size) = class_of(words);
        self.list(class).push(record);
        self.free_words += size;
    }

    /// Whether more than half of many pages is free, and none of them is being
    /// emptied.
    pub(crate) fn is_sparse(&self) -> bool {
        let words = self.present * SET_PAGE;
        self.present >= FEW && self.free_words >= words / 2 && !self.condemned.contains(&true)
    }

    /// If more than half of many pages is free, condemns all of them.
    pub(crate) fn condemn_if_sparse(&mut self) -> bool {
        if !self.is_sparse() {
            return false;
        }
        for page in 0..self.condemned.len() {
            self.condemned[page] = !self.absent.contains(&(page as u32));
        }
        self.free = Vec::new();
        self.free_words = 0;
        self.left = 0;
        true
    }

    /// The condemned pages, which exist no longer.
    pub(crate) fn take_condemned(&mut self) -> Vec<u32> {
        let condemned = (0_u32..)
            .zip(&self.condemned)
            .filter(|(_, condemned)| **condemned);
        let pages: Vec<u32> = condemned.map(|(page, _)| page).collect();
        self.condemned.fill(false);
        self.present -= pages.len();
        self.absent.extend_from_slice(&pages);
        pages
    }

    fn enter(&mut self, page: u32) {
        self.list_rest();
        if self.absent.pop().is_none() {
            self.condemned.push(false);
        }
        // Word 0 of page 0 would be the empty set's id; leave it out everywhere.
        self.frontier = page * SET_PAGE as u32 + 1;
        self.left = SET_PAGE - 1;
        self.present += 1;
    }

    /// Puts what is left of the page on the free lists.
    fn list_rest(&mut self) {
        while self.left >= 2 {
            let shift = self.left.ilog2().saturating_sub(2);
            let size = self.left >> shift << shift;
            let (class, _) = class_of(size);
            let record = self.frontier;
            self.list(class).push(record);
            self.free_words += size;
            self.frontier += size as u32;
            self.left -= size;
        }
    }

    fn list(&mut self, class: usize) -> &mut Vec<u32> {
        if self.free.len() <= class {
            self.free.resize_with(class + 1, Vec::new);
        }
        &mut self.free[class]
    }
}

/// The size class of a record and its size in words: every size up to 8, then
/// four to each doubling.
fn class_of(words: usize) -> (usize, usize) {
    let shift = words.max(1).ilog2().saturating_sub(2);
    let steps = words.div_ceil(1 << shift);
    (4 * shift as usize + steps, (steps << shift).min(RECORD_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_they_are_for() {
        let mut before = 0;
        for words in 2..=RECORD_MAX {
            let (class, size) = class_of(words);
            assert!(
                size >= words && size <= words + words / 4,
                "{words} in {size}"
            );
            assert!(class >= before && class_of(size) == (class, size));
            before = class;
        }
    }

    #[test]
    fn a_full_page_becomes_free_records() {
        let mut space = Space::default();
        let mut room = 2 * PAGE_BYTES;
        let first = space.take(5000, &mut room, |_| true);
        let second = space.take(5000, &mut room, |_| true);
        assert!(first.is_some() && second.is_some() && first != second);
        assert!(space.free_words > 3000);
        assert_eq!(
            space.take(8000, &mut room, |_| true),
            None,
            "no room for a third page"
        );
    }
}
