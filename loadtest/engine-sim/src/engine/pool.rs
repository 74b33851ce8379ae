//! The blocks of the KV cache: which are free, in which order they are taken, and
//! which hold a prefix that can be found again.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::hash::Link;

/// A physical block's number.
pub(crate) type BlockId = u32;

/// Stands for both ends of the free queue; vLLM keeps its block 0 out of use, too.
const END: BlockId = 0;

/// All blocks of one engine.
///
/// Free blocks form a queue, oldest first. A free block keeps its content, and can
/// be found and taken out of the middle, until it reaches the front and is needed.
#[derive(Debug)]
pub(crate) struct Pool {
    blocks: Vec<Block>,
    free: usize,
    order: FreeOrder,
    /// Several blocks may hold the same prefix; the one that has it longest counts.
    cached: HashMap<Link, SmallVec<[BlockId; 2]>>,
}

/// Where blocks go that nobody uses any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FreeOrder {
    /// All to the end.
    Last,
    /// Those that hold no prefix to the front, the others to the end.
    EmptyFirst,
}

#[derive(Debug, Clone, Default)]
struct Block {
    users: u32,
    link: Option<Link>,
    before: BlockId,
    after: BlockId,
}

impl Pool {
    /// `count` blocks, one of which is never used.
    ///
    /// # Panics
    /// If `count` is below 2 or above `u32::MAX`.
    pub(crate) fn new(count: usize, order: FreeOrder) -> Self {
        assert!(count >= 2, "one block is never used");
        let last = BlockId::try_from(count - 1).expect("checked by the engine's limits");
        let mut pool = Self {
            blocks: vec![Block::default(); count],
            free: 0,
            order,
            cached: HashMap::new(),
        };
        for id in 1..=last {
            pool.insert_before(END, id);
        }
        pool
    }

    /// Blocks that can be taken.
    pub(crate) fn free(&self) -> usize {
        self.free
    }

    /// Blocks that can be used at all.
    pub(crate) fn usable(&self) -> usize {
        self.blocks.len() - 1
    }

    /// Prefixes that can be found.
    #[cfg(test)]
    pub(crate) fn cached(&self) -> usize {
        self.cached.len()
    }

    /// The block that holds this prefix.
    pub(crate) fn find(&self, link: &Link) -> Option<BlockId> {
        self.cached.get(link).map(|copies| copies[0])
    }

    /// Whether nobody uses it.
    pub(crate) fn is_free(&self, id: BlockId) -> bool {
        self.block(id).users == 0
    }

    /// One more user of a block that was found.
    pub(crate) fn share(&mut self, id: BlockId) {
        if self.is_free(id) {
            self.unlink(id);
        }
        self.block_mut(id).users += 1;
    }

    /// Takes the block that was free for longest. Gives the prefix that is lost
    /// with it. `None` if no block is free.
    pub(crate) fn take(&mut self) -> Option<(BlockId, Option<Link>)> {
        let id = self.block(END).after;
        if id == END {
            return None;
        }
        self.unlink(id);
        let block = self.block_mut(id);
        block.users = 1;
        let lost = block.link.take();
        if let Some(link) = &lost {
            self.forget(id, link);
        }
        Some((id, lost))
    }

    /// Says what a block in use holds from now on.
    pub(crate) fn keep(&mut self, id: BlockId, link: Link) {
        self.block_mut(id).link = Some(link);
        self.cached.entry(link).or_default().push(id);
    }

    /// One user less for each. The order is that in which they are taken again.
    pub(crate) fn release(&mut self, ids: impl Iterator<Item = BlockId>) {
        let front = self.block(END).after;
        for id in ids {
            let block = self.block_mut(id);
            block.users -= 1;
            if block.users > 0 {
                continue;
            }
            let empty = block.link.is_none() && self.order == FreeOrder::EmptyFirst;
            // Before the block that was the front one, so that their order stays.
            self.insert_before(if empty { front } else { END }, id);
        }
    }

    /// Nothing can be found any more. False, and nothing changes, if blocks are in
    /// use.
    pub(crate) fn clear(&mut self) -> bool {
        if self.free != self.usable() {
            return false;
        }
        self.cached.clear();
        for block in &mut self.blocks {
            block.link = None;
        }
        true
    }

    fn forget(&mut self, id: BlockId, link: &Link) {
        if let Some(copies) = self.cached.get_mut(link) {
            copies.retain(|copy| *copy != id);
            if copies.is_empty() {
                self.cached.remove(link);
            }
        }
    }

    fn insert_before(&mut self, after: BlockId, id: BlockId) {
        let before = self.block(after).before;
        self.block_mut(before).after = id;
        self.block_mut(after).before = id;
        let block = self.block_mut(id);
        block.before = before;
        block.after = after;
        self.free += 1;
    }

    fn unlink(&mut self, id: BlockId) {
        let Block { before, after, .. } = *self.block(id);
        self.block_mut(before).after = after;
        self.block_mut(after).before = before;
        self.free -= 1;
    }

    fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id as usize]
    }

    fn block_mut(&mut self, id: BlockId) -> &mut Block {
        &mut self.blocks[id as usize]
    }
}
