//! The cache against a naive model that knows no hashes: blocks hold the whole
//! prefix that they end.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::super::config::{EngineConfig, Generation};
use super::super::event::{CacheEvent, Stored};
use super::super::hash::{Extras, Hasher, Link};
use super::super::sequence::{Sequence, Submission};
use super::Cache;

const BLOCK: usize = 2;

/// What a block holds: all tokens from the prompt's start to the block's end.
type Prefix = Vec<u32>;

#[derive(Default)]
struct Naive {
    empty_first: bool,
    content: Vec<Option<Prefix>>,
    users: Vec<usize>,
    /// Free blocks, the next one to be taken first.
    free: Vec<usize>,
    /// Blocks with content, longest kept first.
    kept: Vec<usize>,
    events: Vec<NaiveEvent>,
}

#[derive(Debug, Clone, PartialEq)]
enum NaiveEvent {
    Stored(Prefix, usize),
    Removed(Prefix),
}

struct NaiveSequence {
    tokens: Vec<u32>,
    blocks: Vec<usize>,
    kept: usize,
}

impl Naive {
    fn new(blocks: usize, empty_first: bool) -> Self {
        Self {
            empty_first,
            content: vec![None; blocks],
            users: vec![0; blocks],
            free: (1..blocks).collect(),
            ..Self::default()
        }
    }

    fn find(&self, tokens: &[u32]) -> Vec<usize> {
        let mut found = Vec::new();
        let mut end = BLOCK;
        while end < tokens.len() {
            let holds = |id: &&usize| self.content[**id].as_deref() == Some(&tokens[..end]);
            let Some(id) = self.kept.iter().find(holds) else {
                break;
            };
            found.push(*id);
            end += BLOCK;
        }
        found
    }

    /// Blocks for all tokens of the sequence. False if there are not enough.
    fn allocate(&mut self, sequence: &mut NaiveSequence, found: &[usize]) -> bool {
        let needed = sequence.tokens.len().div_ceil(BLOCK);
        let missing = needed - sequence.blocks.len() - found.len();
        let left = self.free.iter().filter(|id| !found.contains(id)).count();
        if missing > left {
            return false;
        }
        for id in found {
            self.users[*id] += 1;
            self.free.retain(|free| free != id);
        }
        sequence.blocks.extend(found);
        sequence.kept += found.len();
        for _ in 0..missing {
            let id = self.free.remove(0);
            if let Some(lost) = self.content[id].take() {
                self.kept.retain(|kept| *kept != id);
                self.events.push(NaiveEvent::Removed(lost));
            }
            self.users[id] = 1;
            sequence.blocks.push(id);
        }
        let first = sequence.kept;
        while (sequence.kept + 1) * BLOCK <= sequence.tokens.len() {
            let id = sequence.blocks[sequence.kept];
            sequence.kept += 1;
            self.content[id] = Some(sequence.tokens[..sequence.kept * BLOCK].to_vec());
            self.kept.push(id);
        }
        if sequence.kept > first {
            let all = sequence.tokens[..sequence.kept * BLOCK].to_vec();
            self.events.push(NaiveEvent::Stored(all, first));
        }
        true
    }

    fn release(&mut self, sequence: NaiveSequence) {
        let (mut empty, mut full) = (Vec::new(), Vec::new());
        for id in sequence.blocks.into_iter().rev() {
            self.users[id] -= 1;
            match &self.content[id] {
                _ if self.users[id] > 0 => {}
                None if self.empty_first => empty.push(id),
                _ => full.push(id),
            }
        }
        self.free = [empty, std::mem::take(&mut self.free), full].concat();
    }
}

#[derive(Debug, Clone)]
enum Action {
    Begin(Vec<u32>),
    Grow(usize, u32),
    End(usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => prop::collection::vec(0..2_u32, 1..12).prop_map(Action::Begin),
        4 => (any::<usize>(), 0..2_u32).prop_map(|(which, token)| Action::Grow(which, token)),
        2 => any::<usize>().prop_map(Action::End),
    ]
}

/// Both at once, step by step.
struct Pair {
    hasher: Hasher,
    cache: Cache,
    naive: Naive,
    running: Vec<(Sequence, NaiveSequence)>,
}

impl Pair {
    fn new(blocks: usize, generation: Generation) -> Self {
        Self {
            hasher: hasher(generation),
            cache: cache(blocks, generation),
            naive: Naive::new(blocks, generation == Generation::V0_32),
            running: Vec::new(),
        }
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::Begin(tokens) => self.begin(tokens),
            Action::Grow(which, token) if !self.running.is_empty() => {
                let which = which % self.running.len();
                self.grow(which, token);
            }
            Action::End(which) if !self.running.is_empty() => {
                let which = which % self.running.len();
                self.end(which);
            }
            Action::Grow(..) | Action::End(_) => {}
        }
        assert_eq!(self.cache.pool.free(), self.naive.free.len());
        let events: Vec<_> = self.cache.take_events();
        let expected = self.naive.events.drain(..);
        let expected: Vec<_> = expected.map(|event| told(&self.hasher, event)).collect();
        assert_eq!(events, expected);
    }

    fn begin(&mut self, tokens: Vec<u32>) {
        let mut ours = sequence(tokens.clone());
        let mut theirs = NaiveSequence {
            tokens,
            blocks: Vec::new(),
            kept: 0,
        };
        let found = self.cache.find(&mut ours);
        let expected = self.naive.find(&theirs.tokens);
        let numbers: Vec<usize> = found.iter().map(|id| *id as usize).collect();
        assert_eq!(numbers, expected, "the same blocks are found");
        let rest = ours.tokens.len() - found.len() * BLOCK;
        let done = self.cache.allocate(&mut ours, &found, rest);
        assert_eq!(done, self.naive.allocate(&mut theirs, &expected));
        if done {
            ours.computed = ours.tokens.len();
            self.running.push((ours, theirs));
        }
    }

    fn grow(&mut self, which: usize, token: u32) {
        let (ours, theirs) = &mut self.running[which];
        ours.tokens.push(token);
        theirs.tokens.push(token);
        let done = self.cache.allocate(ours, &[], 1);
        assert_eq!(done, self.naive.allocate(theirs, &[]));
        if done {
            ours.computed += 1;
        } else {
            self.end(which);
        }
    }

    fn end(&mut self, which: usize) {
        let (mut ours, theirs) = self.running.remove(which);
        self.cache.free(&mut ours);
        self.naive.release(theirs);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_history_is_the_naive_models(
        blocks in 3..14_usize,
        newest in any::<bool>(),
        actions in prop::collection::vec(action(), 1..120),
    ) {
        let generation = if newest { Generation::V0_32 } else { Generation::V0_10 };
        let mut pair = Pair::new(blocks, generation);
        for action in actions {
            pair.apply(action);
        }
        while !pair.running.is_empty() {
            pair.apply(Action::End(0));
        }
        prop_assert_eq!(pair.cache.pool.free(), blocks - 1, "no block is lost");
        let distinct: std::collections::HashSet<_> =
            pair.naive.content.iter().flatten().collect();
        prop_assert_eq!(pair.cache.pool.cached(), distinct.len());
    }
}

#[test]
fn nothing_is_reset_while_blocks_are_in_use() {
    let mut cache = cache(4, Generation::V0_32);
    let mut sequence = sequence(vec![1, 2, 3]);
    assert!(cache.allocate(&mut sequence, &[], 3));
    assert!(!cache.reset());
    cache.free(&mut sequence);
    assert!(cache.reset());
    assert_eq!(cache.take_events().last(), Some(&CacheEvent::Cleared));
    assert_eq!(cache.pool.cached(), 0);
}

fn hasher(generation: Generation) -> Hasher {
    Hasher::new(generation.algorithm(), "0")
}

fn cache(blocks: usize, generation: Generation) -> Cache {
    Cache::new(&EngineConfig {
        block_size: BLOCK,
        kv_tokens: blocks * BLOCK,
        generation,
        hash_seed: "0".to_owned(),
        ..EngineConfig::default()
    })
}

fn sequence(prompt: Vec<u32>) -> Sequence {
    let submission = Submission {
        id: 0,
        prompt,
        reply: vec![0],
        extras: Extras::default(),
    };
    Sequence::new(submission, Duration::ZERO)
}

fn links(hasher: &Hasher, prefix: &[u32]) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for block in prefix.chunks_exact(BLOCK) {
        links.push(hasher.link(links.last(), block, &Extras::default()));
    }
    links
}

fn told(hasher: &Hasher, event: NaiveEvent) -> CacheEvent {
    match event {
        NaiveEvent::Removed(prefix) => {
            CacheEvent::Removed(*links(hasher, &prefix).last().expect("whole blocks"))
        }
        NaiveEvent::Stored(prefix, first) => {
            let all = links(hasher, &prefix);
            CacheEvent::Stored(Stored {
                links: all[first..].to_vec(),
                parent: first.checked_sub(1).map(|before| all[before]),
                tokens: prefix[first * BLOCK..].to_vec(),
                extras: Arc::new(Extras::default()),
            })
        }
    }
}
