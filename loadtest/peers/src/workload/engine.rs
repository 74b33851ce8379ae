//! One engine's cache, as far as its block events go.

use std::collections::{BTreeMap, HashMap};

use super::random::Random;
use super::scenario::Evictions;
use super::trace::Act;

/// Longest piece that [`Evictions::Scattered`] takes at once, in blocks.
const PIECE: usize = 24;

/// Which blocks of which chains an engine holds, and when it used them.
#[derive(Debug, Default)]
pub(super) struct Engine {
    held: HashMap<u32, Segment>,
    /// Chains by last use. Of those used by one request, the end of the prompt
    /// goes first.
    order: BTreeMap<(u64, u32), u32>,
    pub(super) used: usize,
}

/// One chain's own part.
#[derive(Debug)]
struct Segment {
    blocks: Vec<bool>,
    count: usize,
    last_used: (u64, u32),
}

impl Engine {
    /// Serves a prompt made of the first `to` blocks of each of these chains, the
    /// beginning of the prompt first. Gives what it evicts, and then stores.
    pub(super) fn serve(
        &mut self,
        prompt: &[(u32, u32)],
        (now, capacity, evictions): (u64, usize, Evictions),
        random: &mut Random,
    ) -> Vec<Act> {
        let mut stored = Vec::new();
        let mut missing = 0;
        for (part, &(chain, to)) in prompt.iter().enumerate() {
            self.touch(chain, (now, prompt.len() as u32 - part as u32));
            let segment = self.held.get(&chain).expect("touched");
            let has = |at: u32| segment.blocks.get(at as usize).is_some_and(|held| *held);
            // What follows a missing block is computed again, held or not.
            let from = if missing == 0 {
                (0..to).find(|&at| !has(at))
            } else {
                Some(0)
            };
            let Some(from) = from else { continue };
            let fresh = ranges((from..to).filter(|&at| !has(at)));
            missing += fresh.iter().map(|(a, b)| (b - a) as usize).sum::<usize>();
            stored.push(Act::Stored {
                chain,
                from,
                to,
                fresh,
            });
        }
        let too_many = (self.used + missing).saturating_sub(capacity);
        let mut acts = self.evict(too_many, evictions, random);
        stored.iter().for_each(|act| self.hold(act));
        acts.extend(stored);
        acts
    }

    /// Gives up `count` blocks.
    pub(super) fn evict(
        &mut self,
        count: usize,
        evictions: Evictions,
        random: &mut Random,
    ) -> Vec<Act> {
        let mut acts = Vec::new();
        let mut left = count.min(self.used);
        while left > 0 {
            // Scattered: the older half, so that many prompts have holes at a time.
            let skip = match evictions {
                Evictions::Lru => 0,
                Evictions::Scattered => random.below(self.order.len() / 2),
            };
            let Some((&at, &chain)) = self.order.iter().nth(skip) else {
                break;
            };
            let segment = self.held.get_mut(&chain).expect("ordered chains are held");
            let (from, to) = match evictions {
                Evictions::Lru => segment.end(left),
                Evictions::Scattered => segment.piece(left.min(PIECE), random),
            };
            segment.blocks[from..to].fill(false);
            segment.count -= to - from;
            self.used -= to - from;
            left -= to - from;
            if to > from {
                acts.push(Act::Removed {
                    chain,
                    from: from as u32,
                    to: to as u32,
                });
            }
            if segment.count == 0 {
                self.order.remove(&at);
                self.held.remove(&chain);
            }
        }
        acts
    }

    fn touch(&mut self, chain: u32, now: (u64, u32)) {
        let segment = self.held.entry(chain).or_insert_with(|| Segment {
            blocks: Vec::new(),
            count: 0,
            last_used: now,
        });
        self.order.remove(&segment.last_used);
        segment.last_used = now;
        self.order.insert(now, chain);
    }

    fn hold(&mut self, act: &Act) {
        let Act::Stored { chain, fresh, .. } = act else {
            return;
        };
        let segment = self.held.get_mut(chain).expect("touched");
        for &(from, to) in fresh {
            let blocks = (to - from) as usize;
            let end = segment.blocks.len().max(to as usize);
            segment.blocks.resize(end, false);
            segment.blocks[from as usize..to as usize].fill(true);
            segment.count += blocks;
            self.used += blocks;
        }
    }
}

impl Segment {
    /// The last held blocks, at most `most`.
    fn end(&self, most: usize) -> (usize, usize) {
        let to = self
            .blocks
            .iter()
            .rposition(|held| *held)
            .map_or(0, |at| at + 1);
        self.backwards(to, most)
    }

    /// A piece from anywhere.
    fn piece(&self, most: usize, random: &mut Random) -> (usize, usize) {
        let before = random.below(self.blocks.len()) + 1;
        match self.blocks[..before].iter().rposition(|held| *held) {
            Some(last) => self.backwards(last + 1, most),
            None => self.end(most),
        }
    }

    fn backwards(&self, to: usize, most: usize) -> (usize, usize) {
        let held = self.blocks[..to].iter().rev().take_while(|held| **held);
        (to - held.take(most).count(), to)
    }
}

fn ranges(positions: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for at in positions {
        match ranges.last_mut() {
            Some((_, end)) if *end == at => *end += 1,
            _ => ranges.push((at, at + 1)),
        }
    }
    ranges
}
