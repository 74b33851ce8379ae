//! Emptying pages that have become sparse, so that their memory can go.

use super::Writer;
use crate::arena::Seek;
use crate::set_id::SetId;
use crate::shared::PAGE;

impl Writer {
    /// Looks at up to `steps` blocks of a sparse page and moves them elsewhere.
    pub(super) fn compact(&mut self, steps: usize) {
        if self.victim.is_none() {
            self.victim = self.arena.choose_victim().map(|page| (page, 0));
        }
        let Some((page, begin)) = self.victim else {
            return;
        };
        let end = (begin + steps).min(PAGE);
        let mut last = None;
        for offset in begin..end {
            let from = (page as usize * PAGE + offset) as u32;
            self.clean_before_move(from);
            if self.set_at(from) == SetId::EMPTY {
                continue;
            }
            last = self.move_block(from, last);
            if last.is_none() {
                break;
            }
        }
        self.victim = if end < PAGE {
            Some((page, end))
        } else {
            self.arena.choose_victim().map(|page| (page, 0))
        };
    }

    /// A reader that still looks at the old slot sees either the block there, or
    /// nothing; then it finds that the entry has changed, and follows it.
    fn move_block(&mut self, from: u32, after: Option<u32>) -> Option<u32> {
        let core = std::sync::Arc::clone(&self.core);
        let (page, offset) = core.page(from).ok()?;
        let (key, set) = (page.key(offset), page.set(offset));
        let place = self.place(key)?;
        let to = self.arena.take(after, Seek::Any)?;
        self.put(to, key, set);
        core.table[place.hash.sub].set(place.at, place.hash.tag, to);
        page.put_set(offset, SetId::EMPTY);
        self.arena.rest(from);
        Some(to)
    }
}
