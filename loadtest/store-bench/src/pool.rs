//! Messages made beforehand, so that sending them costs next to nothing.

use anyhow::{Context, Result};
use bytes::Bytes;
use loadtest_engines::{Event, Prompt, payload, stamp};

/// What the engines of a run are like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Simulated engines.
    pub(crate) engines: usize,
    /// Blocks of a prompt.
    pub(crate) prompt_blocks: usize,
    /// Prompts that an engine's cache holds.
    pub(crate) prompts_held: usize,
    /// Engines that run the same prompts.
    pub(crate) sharing: usize,
}

impl Shape {
    /// Memberships when all caches are full.
    pub(crate) fn memberships(&self) -> u64 {
        (self.engines * self.prompts_held * self.prompt_blocks) as u64
    }

    /// Prompts that a pool goes round in: twice what a cache holds, so that a
    /// prompt has long gone when it comes again.
    fn prompts(&self) -> usize {
        2 * self.prompts_held
    }
}

/// The messages of engines whose caches are first in, first out: the messages
/// come again in the same order for ever, and nothing has to be computed.
pub(crate) struct Pool {
    shape: Shape,
    /// By group of engines that share prompts, then by prompt: only the store.
    filling: Vec<Vec<Vec<u8>>>,
    /// The same, after the removal of the oldest prompt.
    full: Vec<Vec<Vec<u8>>>,
}

impl Pool {
    /// `only_fill`: the caches will never be full, save the memory.
    pub(crate) fn new(shape: Shape, only_fill: bool) -> Result<Self> {
        let groups = shape.engines.div_ceil(shape.sharing);
        let (mut filling, mut full) = (Vec::new(), Vec::new());
        for group in 0..groups {
            let (fill, rest) = messages(shape, group, only_fill).context("make messages")?;
            filling.push(fill);
            full.push(rest);
        }
        Ok(Self {
            shape,
            filling,
            full,
        })
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// The payload of an engine's message, and its block events.
    pub(crate) fn message(&self, engine: usize, sequence: u64, micros: u64) -> (Bytes, u64) {
        let (group, member) = (engine / self.shape.sharing, engine % self.shape.sharing);
        // Engines of a group are at different places, and hold some of the same.
        let offset = member * self.shape.prompts() / self.shape.sharing;
        let step = usize::try_from(sequence).unwrap_or(usize::MAX);
        let prompt = (step + offset) % self.shape.prompts();
        let blocks = self.shape.prompt_blocks as u64;
        let (made, events) = if step < self.shape.prompts_held {
            (&self.filling[group][prompt], blocks)
        } else {
            (&self.full[group][prompt], 2 * blocks)
        };
        let mut payload = made.clone();
        stamp(&mut payload, micros as f64 / 1e6);
        (Bytes::from(payload), events)
    }
}

type Messages = (Vec<Vec<u8>>, Vec<Vec<u8>>);

fn messages(shape: Shape, group: usize, only_fill: bool) -> Result<Messages> {
    let count = shape.prompts();
    let prompt = |number: usize| -> Result<Prompt> {
        let number = u32::try_from(group * count + number % count)?;
        Ok(Prompt::unique(number, u32::try_from(shape.prompt_blocks)?))
    };
    let (mut fill, mut full) = (Vec::new(), Vec::new());
    let (mut hashes, mut oldest) = (Vec::new(), Vec::new());
    for number in 0..count {
        let stored = prompt(number)?;
        stored.hashes(&mut hashes);
        let last = shape.prompt_blocks - 1;
        let store = || Event::Stored { first: 0, last };
        fill.push(payload(0.0, &stored, &hashes, &[store()])?);
        if only_fill {
            continue;
        }
        prompt(number + count - shape.prompts_held)?.hashes(&mut oldest);
        // Engines free a prompt's last block first.
        let mut events: Vec<Event> = oldest
            .iter()
            .rev()
            .map(|hash| Event::Removed(*hash))
            .collect();
        events.push(store());
        full.push(payload(0.0, &stored, &hashes, &events)?);
    }
    Ok((fill, full))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        engines: 3,
        prompt_blocks: 4,
        prompts_held: 5,
        sharing: 2,
    };

    #[test]
    fn a_full_cache_lets_one_prompt_go_for_each_new_one() {
        let pool = Pool::new(SHAPE, false).unwrap();
        assert_eq!(SHAPE.memberships(), 60);
        assert_eq!(pool.message(0, 4, 1).1, 4);
        assert_eq!(pool.message(0, 5, 1).1, 8);
        assert!(pool.message(0, 5, 1).0.len() > pool.message(0, 4, 1).0.len());
    }

    #[test]
    fn messages_come_again_and_engines_of_a_group_share_them() {
        let pool = Pool::new(SHAPE, false).unwrap();
        assert_eq!(pool.message(0, 7, 9), pool.message(0, 17, 9));
        assert_ne!(pool.message(0, 7, 9), pool.message(0, 8, 9));
        assert_eq!(pool.message(0, 12, 9), pool.message(1, 7, 9));
        assert_ne!(pool.message(0, 7, 9), pool.message(2, 7, 9));
    }
}
