//! The answers, from the simplest model there is: a set of blocks per endpoint.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use super::corpus::Corpus;
use super::trace::{Act, Event, Query};

/// Every endpoint's blocks, by chained hash, exactly as the events say.
#[derive(Debug)]
pub(super) struct Naive {
    endpoints: Vec<Set>,
}

type Set = HashSet<u64, BuildHasherDefault<AsItIs>>;

/// The keys are hashes already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed");
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

impl Naive {
    pub(super) fn new(endpoints: u32) -> Self {
        Self {
            endpoints: (0..endpoints).map(|_| Set::default()).collect(),
        }
    }

    pub(super) fn apply(&mut self, corpus: &Corpus, event: &Event) {
        let held = &mut self.endpoints[event.endpoint as usize];
        match event.act {
            Act::Stored {
                chain, from, to, ..
            } => held.extend(corpus.blocks(chain, from, to).iter().map(|b| b.chained)),
            Act::Removed { chain, from, to } => {
                for block in corpus.blocks(chain, from, to) {
                    held.remove(&block.chained);
                }
            }
            Act::Restarted => *held = Set::default(),
        }
    }

    pub(super) fn answer(&self, corpus: &Corpus, query: Query) -> Vec<(u32, u32)> {
        let prompt = corpus.prompt(query.chain, query.blocks);
        let keys: Vec<u64> = prompt
            .iter()
            .copied()
            .flatten()
            .map(|b| b.chained)
            .collect();
        let count = |held: &Set| keys.iter().take_while(|key| held.contains(key)).count() as u32;
        (0..)
            .zip(&self.endpoints)
            .map(|(endpoint, held)| (endpoint, count(held)))
            .filter(|&(_, blocks)| blocks > 0)
            .collect()
    }

    pub(super) fn memberships(&self) -> u64 {
        self.endpoints.iter().map(|held| held.len() as u64).sum()
    }

    pub(super) fn distinct(&self) -> u64 {
        let mut all = Set::default();
        self.endpoints.iter().for_each(|held| all.extend(held));
        all.len() as u64
    }
}
