//! The prefix cache: which blocks a sequence gets, and what is told about them.

use super::config::{EngineConfig, Generation};
use super::event::{CacheEvent, Stored};
use super::hash::Hasher;
use super::pool::{BlockId, FreeOrder, Pool};
use super::sequence::Sequence;

/// The blocks of one engine, the prefixes in them, and the events not yet told.
#[derive(Debug)]
pub(crate) struct Cache {
    pool: Pool,
    hasher: Hasher,
    block_size: usize,
    events: Vec<CacheEvent>,
}

impl Cache {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        let order = match config.generation {
            Generation::V0_10 => FreeOrder::Last,
            Generation::V0_32 => FreeOrder::EmptyFirst,
        };
        Self {
            pool: Pool::new(config.blocks(), order),
            hasher: Hasher::new(config.generation.algorithm(), &config.hash_seed),
            block_size: config.block_size,
            events: Vec::new(),
        }
    }

    /// The blocks that hold a prefix of the sequence. At least one token is left to
    /// compute: without it there would be nothing to go on from.
    pub(crate) fn find(&self, sequence: &mut Sequence) -> Vec<BlockId> {
        sequence.hash(&self.hasher, self.block_size);
        let usable = (sequence.tokens.len() - 1) / self.block_size;
        let links = sequence.links.iter().take(usable);
        links.map_while(|link| self.pool.find(link)).collect()
    }

    /// Makes room for `new_tokens` beyond what is computed or was found. False, and
    /// nothing changes, if there are not enough blocks.
    pub(crate) fn allocate(
        &mut self,
        sequence: &mut Sequence,
        found: &[BlockId],
        new_tokens: usize,
    ) -> bool {
        let tokens = sequence.computed + found.len() * self.block_size + new_tokens;
        let have = sequence.blocks.len() + found.len();
        let missing = tokens.div_ceil(self.block_size).saturating_sub(have);
        let awakened = found.iter().filter(|id| self.pool.is_free(**id)).count();
        if missing + awakened > self.pool.free() {
            return false;
        }
        for id in found {
            self.pool.share(*id);
        }
        sequence.blocks.extend_from_slice(found);
        sequence.kept += found.len();
        self.take(sequence, missing);
        self.keep(sequence, tokens.min(sequence.tokens.len()));
        true
    }

    /// Gives the sequence's blocks back, the last one first: so a prefix stays
    /// longer than what follows it.
    pub(crate) fn free(&mut self, sequence: &mut Sequence) {
        self.pool.release(sequence.blocks.drain(..).rev());
        sequence.kept = 0;
        sequence.computed = 0;
    }

    pub(crate) fn reset(&mut self) -> bool {
        let done = self.pool.clear();
        if done {
            self.events.push(CacheEvent::Cleared);
        }
        done
    }

    pub(crate) fn take_events(&mut self) -> Vec<CacheEvent> {
        std::mem::take(&mut self.events)
    }

    pub(crate) fn block_size(&self) -> usize {
        self.block_size
    }

    /// Share of the blocks in use, 0 to 1.
    pub(crate) fn usage(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "block counts")]
        let free = self.pool.free() as f64 / self.pool.usable() as f64;
        1.0 - free
    }

    fn take(&mut self, sequence: &mut Sequence, count: usize) {
        for _ in 0..count {
            let (id, lost) = self.pool.take().expect("counted before");
            self.events.extend(lost.map(CacheEvent::Removed));
            sequence.blocks.push(id);
        }
    }

    /// Blocks that these tokens fill can be found from now on. vLLM says so when it
    /// schedules the step, before anything is computed.
    fn keep(&mut self, sequence: &mut Sequence, tokens: usize) {
        sequence.hash(&self.hasher, self.block_size);
        let (first, full) = (sequence.kept, tokens / self.block_size);
        if full <= first {
            return;
        }
        for block in first..full {
            self.pool
                .keep(sequence.blocks[block], sequence.links[block]);
        }
        sequence.kept = full;
        self.events.push(CacheEvent::Stored(Stored {
            links: sequence.links[first..full].to_vec(),
            parent: first.checked_sub(1).map(|before| sequence.links[before]),
            tokens: sequence.tokens[first * self.block_size..full * self.block_size].to_vec(),
            extras: sequence.extras(),
        }));
    }
}

#[cfg(test)]
mod tests;
