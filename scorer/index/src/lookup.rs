//! One walk along a prompt's keys.
//!
//! Blocks that were stored together lie side by side, so most steps compare
//! eight of the next keys with eight blocks in memory that have the same set as
//! those before: no hashing and no set work. Every single block is compared,
//! because any holder may have lost any block.

use proto_model::BlockKey;

use crate::page::{GROUP, PAGE};
use crate::set_id::SetId;
use crate::shared::{Core, Found, TOUCH, Torn};
use crate::survivors::Step;
use crate::wide::groups_with;
use crate::{HolderFilter, Scratch};

/// After a run shorter than this, blocks are taken to lie here and there.
const SCATTERED: usize = 4;

/// Fills `scratch.report`. What it holds after an error means nothing.
pub(crate) fn lookup(
    core: &Core,
    keys: &[BlockKey],
    scratch: &mut Scratch,
    candidates: Option<&HolderFilter>,
) -> Result<(), Torn> {
    scratch.report.clear();
    let Some(mut walk) = Walk::begin(core, keys)? else {
        return Ok(());
    };
    let Scratch { report, survivors } = scratch;
    survivors.begin(core, walk.set, candidates)?;
    while !survivors.is_empty() {
        walk.same_set();
        let Some(next) = walk.next()? else { break };
        if next.set != walk.set {
            let mut step = Step::new(core, walk.done, report);
            survivors.intersect(next.set, &mut step)?;
        }
        walk.step(next);
    }
    survivors.finish(&mut Step::new(core, walk.done, report));
    Ok(())
}

/// Where a lookup stands.
struct Walk<'a> {
    core: &'a Core,
    keys: &'a [BlockKey],
    /// Keys whose blocks have been found.
    done: usize,
    /// The last block found.
    at: Found<'a>,
    /// Its set.
    set: SetId,
    /// Where the present run began.
    run: usize,
    /// Keys whose memory has been looked at beforehand.
    touched: usize,
}

/// Blocks that come next.
struct Next<'a> {
    /// The last of them.
    at: Found<'a>,
    set: SetId,
    blocks: usize,
    /// Whether they follow in memory, too.
    beside: bool,
}

impl<'a> Walk<'a> {
    fn begin(core: &'a Core, keys: &'a [BlockKey]) -> Result<Option<Self>, Torn> {
        let Some(first) = keys.first() else {
            return Ok(None);
        };
        Ok(core.find(first.0)?.map(|at| Self {
            core,
            keys,
            done: 1,
            at,
            set: at.set,
            run: 0,
            touched: 1,
        }))
    }

    /// Takes all blocks that follow in memory and have the same set.
    #[inline]
    fn same_set(&mut self) {
        loop {
            let (next, keys) = (self.at.offset + 1, &self.keys[self.done..]);
            if next >= PAGE || keys.is_empty() {
                return;
            }
            let page = self.at.page;
            let mut blocks = 0;
            if next.is_multiple_of(GROUP) {
                blocks = groups_with(page, next, self.set, keys, &self.core.shares);
                if blocks == 0 {
                    self.prepare(next);
                }
            }
            if blocks == 0 {
                if page.set_of(next, keys[0].0) != Some(self.set) {
                    return;
                }
                blocks = 1;
            }
            self.at.offset += blocks;
            self.done += blocks;
        }
    }

    /// Asks for all that is needed to see whether the run ends before an offset
    /// and where it goes on: one wait instead of three.
    #[inline]
    fn prepare(&self, offset: usize) {
        self.at.page.prefetch(offset);
        self.core.prefetch_entry(self.keys[self.done].0);
    }

    /// The blocks that come next, wherever they are.
    #[inline]
    fn next(&mut self) -> Result<Option<Next<'a>>, Torn> {
        if self.done == self.keys.len() {
            return Ok(None);
        }
        match self.beside() {
            Some(next) => Ok(Some(next)),
            None => self.elsewhere(),
        }
    }

    #[inline]
    fn beside(&self) -> Option<Next<'a>> {
        let (next, keys) = (self.at.offset + 1, &self.keys[self.done..]);
        if next >= PAGE {
            return None;
        }
        let page = self.at.page;
        let found = |set, blocks| Next {
            at: Found {
                page,
                offset: next + blocks - 1,
                set,
            },
            set,
            blocks,
            beside: true,
        };
        if next.is_multiple_of(GROUP)
            && let Some(group) = keys.first_chunk()
            && let Some(set) = page.group_set(next, || self.core.shares.sum(group))
        {
            return Some(found(set, GROUP));
        }
        page.set_of(next, keys[0].0).map(|set| found(set, 1))
    }

    fn elsewhere(&mut self) -> Result<Option<Next<'a>>, Torn> {
        if self.done - self.run < SCATTERED && self.done >= self.touched {
            self.touched = self.keys.len().min(self.done + TOUCH);
            self.core.touch(&self.keys[self.done..self.touched]);
        }
        let keys = &self.keys[self.done..];
        let found = self.core.find(keys[0].0)?;
        Ok(found.map(|mut at| {
            let blocks = self.arrive(&at, keys);
            at.offset += blocks - 1;
            Next {
                at,
                set: at.set,
                blocks,
                beside: false,
            }
        }))
    }

    /// How many blocks a place that was found has for the next keys: all of its
    /// group, if that begins there and has one set.
    #[inline]
    fn arrive(&self, at: &Found<'_>, keys: &[BlockKey]) -> usize {
        match keys.first_chunk() {
            Some(keys) if at.offset.is_multiple_of(GROUP) => {
                let sum = || self.core.shares.sum(keys);
                let is_whole = at.page.group_set(at.offset, sum) == Some(at.set);
                if is_whole { GROUP } else { 1 }
            }
            _ => 1,
        }
    }

    #[inline]
    fn step(&mut self, next: Next<'a>) {
        if !next.beside {
            self.run = self.done;
        }
        self.at = next.at;
        self.set = next.set;
        self.done += next.blocks;
    }
}
