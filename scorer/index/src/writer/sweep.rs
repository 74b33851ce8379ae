//! Taking ended holders out of every set, a few blocks at a time.
//!
//! A round begins with the holders ended by then and visits every slot once.
//! What is stored meanwhile cannot bring them back: they are in no new set that
//! was not made from an old one, and the old ones' blocks are still ahead of the
//! round or clean already. The same round empties sparse set pages.

use super::Writer;
use crate::lanes;
use crate::page::{GROUP, PAGE};
use crate::set_id::SetId;
use crate::shared::directory;

/// What has lost its last holder: slots, and first slots of groups.
#[derive(Debug, Default)]
struct Dropped {
    blocks: Vec<u32>,
    groups: Vec<u32>,
}

/// One pass over all slots.
#[derive(Debug)]
pub(super) struct Round {
    /// The slots to take out, a word for each span.
    gone: Vec<u64>,
    slots: Vec<u32>,
    /// Memberships that they had.
    left: u64,
    page: usize,
    offset: usize,
    /// Whether set pages are being emptied.
    repack: bool,
}

impl Round {
    pub(super) fn bytes(&self) -> usize {
        self.gone.capacity() * 8 + self.slots.capacity() * 4
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }
}

impl Writer {
    /// Slots still to be visited on behalf of ended holders.
    pub(super) fn pending_sweep(&self) -> usize {
        let all = self.arena.span() * PAGE;
        let round = self.round.as_ref().map_or(0, |round| {
            all.saturating_sub(round.page * PAGE + round.offset)
        });
        round + if self.roster.has_ended() { all } else { 0 }
    }

    /// Goes on with the round, or begins one if there is a reason to.
    pub(super) fn sweep(&mut self, mut steps: usize) {
        if self.round.is_none() {
            self.begin_round();
        }
        let Some(mut round) = self.round.take() else {
            return;
        };
        while steps > 0 {
            if round.page >= self.arena.span() {
                self.end_round(round);
                return;
            }
            steps -= 1;
            if self.arena.is_present(round.page) {
                let end = (round.offset + steps + 1).min(PAGE);
                steps -= end - round.offset - 1;
                self.clean_page(&round, end);
                round.offset = end;
            } else {
                round.offset = PAGE;
            }
            if round.offset == PAGE {
                (round.page, round.offset) = (round.page + 1, 0);
            }
        }
        self.round = Some(round);
    }

    fn begin_round(&mut self) {
        let repack = self.sets.condemn_if_sparse();
        if !repack && !self.roster.has_ended() {
            return;
        }
        let slots = self.roster.take_ended();
        let mut gone = vec![0; self.roster.span().div_ceil(lanes::SPAN as usize)];
        for slot in &slots {
            let (span, bit) = lanes::place(*slot);
            gone[span as usize] |= bit;
        }
        self.sets.forget_edits();
        self.round = Some(Round {
            gone,
            slots,
            left: std::mem::take(&mut self.left),
            page: 0,
            offset: 0,
            repack,
        });
    }

    fn end_round(&mut self, round: Round) {
        self.sets.forget_edits();
        self.roster.rest(&round.slots);
        self.wake();
        if round.repack {
            let emptied = self.sets.take_emptied();
            let mut core = (*self.core).clone();
            let keep = |page: usize| !emptied.contains(&(page as u32));
            core.set_pages = directory(&core.set_pages, core.set_pages.len(), keep);
            self.publish(core);
        }
    }

    fn clean_page(&mut self, round: &Round, end: usize) {
        let mut dropped = Dropped::default();
        let mut offset = round.offset;
        while offset < end {
            let first = (round.page * PAGE + offset) as u32;
            let (before, blocks) = self.alike(first, end - offset);
            self.clean_blocks(round, (first, blocks), before, &mut dropped);
            offset += blocks as usize;
        }
        self.settle_group();
        self.drop_all(&dropped);
    }

    fn drop_all(&mut self, dropped: &Dropped) {
        self.drop_groups(&dropped.groups);
        self.drop_blocks(&dropped.blocks);
    }

    /// A set, and how many blocks from a slot on are known to have it.
    #[inline]
    pub(super) fn alike(&self, first: u32, most: usize) -> (SetId, u32) {
        let Ok((page, offset)) = self.core.page(first) else {
            return (SetId::EMPTY, 1);
        };
        if offset.is_multiple_of(GROUP) && most >= GROUP {
            let set = page.shared_set(offset);
            if set != SetId::EMPTY {
                return (set, GROUP as u32);
            }
        }
        (page.set(offset), 1)
    }

    /// A block that is about to move might get behind the round.
    pub(super) fn clean_before_move(&mut self, (first, blocks): (u32, u32)) {
        if let Some(round) = self.round.take() {
            let mut dropped = Dropped::default();
            let before = self.set_at(first);
            self.clean_blocks(&round, (first, blocks), before, &mut dropped);
            self.drop_all(&dropped);
            self.round = Some(round);
        }
    }

    /// Takes the round's holders out of blocks that have one set. Blocks that
    /// nobody else holds go to `dropped`.
    #[inline]
    fn clean_blocks(
        &mut self,
        round: &Round,
        (first, blocks): (u32, u32),
        before: SetId,
        dropped: &mut Dropped,
    ) {
        if before == SetId::EMPTY {
            return;
        }
        let Ok(after) = self.sets.clean(&self.core, before, &round.gone) else {
            for slot in first..first + blocks {
                self.forget_block(slot, before);
            }
            return;
        };
        if after == before {
            return;
        }
        self.sets.refer(&self.core, after, blocks);
        self.sets.release(&self.core, before, blocks);
        match (after, blocks) {
            (SetId::EMPTY, 1) => dropped.blocks.push(first),
            (SetId::EMPTY, _) => dropped.groups.push(first),
            (_, 1) => self.put_set(first, after),
            _ => self.put_group(first, after),
        }
    }
}
