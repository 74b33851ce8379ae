//! Messages made beforehand, as vLLM's scheduler steps publish them.

use anyhow::Result;
use bytes::Bytes;
use loadtest_engines::{BatchEvent, Form, StoredRun, batch, stamp};

/// Tokens per block.
pub(crate) const BLOCK_SIZE: usize = 16;

/// Blocks of a prompt.
const PROMPT_BLOCKS: usize = 64;

/// Requests that generate at the same time.
const RUNNING: usize = 32;

/// How much there is of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Engines, each with a cache of its own.
    pub(crate) engines: usize,
    /// Groups of engines that run the same prompts.
    pub(crate) groups: usize,
    /// Blocks that an engine's cache holds.
    pub(crate) cache_blocks: usize,
    /// Messages of each engine in one round.
    pub(crate) round: usize,
}

impl Scale {
    /// What figures are measured with.
    pub(crate) const FULL: Self = Self {
        engines: 32,
        groups: 8,
        cache_blocks: 8192,
        round: 32,
    };
}

/// What a scheduler step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Stores a prompt of 64 blocks as one event, and evicts as many blocks,
    /// each with an event of its own as vLLM does.
    Prefill,
    /// One block of each of 32 running requests becomes full, each with an event
    /// of its own; as many are evicted.
    Decode,
}

impl Step {
    /// Block events of one message.
    pub(crate) fn block_events(self) -> u64 {
        let blocks = match self {
            Self::Prefill => PROMPT_BLOCKS,
            Self::Decode => RUNNING,
        };
        2 * blocks as u64
    }

    /// Messages until a cache of so many blocks is full.
    pub(crate) fn filling(self, cache_blocks: usize) -> usize {
        match self {
            Self::Prefill => cache_blocks / PROMPT_BLOCKS,
            Self::Decode => cache_blocks / RUNNING,
        }
    }

    /// Blocks that an engine holds after so many messages.
    pub(crate) fn held(self, cache_blocks: usize, messages: u64) -> u64 {
        let full = self.filling(cache_blocks) as u64;
        messages.min(full) * self.block_events() / 2
    }
}

/// The messages of several engines, which come again in the same order for
/// ever: what is stored again has long been evicted.
pub(crate) struct Messages {
    /// By group of engines that run the same prompts.
    groups: Vec<Vec<Vec<u8>>>,
}

impl Messages {
    pub(crate) fn new(step: Step, form: Form, groups: usize, cache_blocks: usize) -> Result<Self> {
        let group = |group| -> Result<Vec<Vec<u8>>> {
            (0..2 * step.filling(cache_blocks))
                .map(|number| message(step, form, group, number, cache_blocks))
                .collect()
        };
        Ok(Self {
            groups: (0..groups).map(group).collect::<Result<_>>()?,
        })
    }

    /// An engine's message, made at a time in seconds since the Unix epoch.
    pub(crate) fn payload(&self, engine: usize, sequence: u64, seconds: f64) -> Bytes {
        let group = &self.groups[engine % self.groups.len()];
        let number = usize::try_from(sequence).unwrap_or(usize::MAX) % group.len();
        let mut payload = group[number].clone();
        stamp(&mut payload, seconds);
        payload.into()
    }
}

fn message(
    step: Step,
    form: Form,
    group: usize,
    number: usize,
    cache_blocks: usize,
) -> Result<Vec<u8>> {
    let filling = step.filling(cache_blocks);
    let all = 2 * filling;
    let evicted = (number + all - filling) % all;
    // Of each run: prompt, first block, blocks.
    let runs = |number: usize| -> Vec<(usize, usize, usize)> {
        match step {
            Step::Prefill => vec![(number, 0, PROMPT_BLOCKS)],
            Step::Decode => (0..RUNNING)
                .map(|request| {
                    let prompt = number / PROMPT_BLOCKS * RUNNING + request;
                    (prompt, number % PROMPT_BLOCKS, 1)
                })
                .collect(),
        }
    };
    let hash = |prompt, block| mix(mix(group, prompt), block + (1 << 20));
    let (mut events, stored) = (Vec::new(), runs(number));
    for (prompt, first, blocks) in runs(evicted) {
        // Engines free a prompt's last block first.
        let hashes = (first..first + blocks).rev();
        events.extend(hashes.map(|block| BatchEvent::Removed(hash(prompt, block))));
    }
    let tokens: Vec<Vec<u32>> = stored
        .iter()
        .map(|(prompt, first, blocks)| {
            let range = first * BLOCK_SIZE..(first + blocks) * BLOCK_SIZE;
            range.map(|at| token(group, *prompt, at)).collect()
        })
        .collect();
    for ((prompt, first, blocks), tokens) in stored.iter().zip(&tokens) {
        let hashes = *first..first + blocks;
        events.push(BatchEvent::Stored(StoredRun {
            hashes: hashes.map(|block| hash(*prompt, block)).collect(),
            parent: first.checked_sub(1).map(|block| hash(*prompt, block)),
            tokens,
            block_size: BLOCK_SIZE,
            lora: None,
            salt: None,
        }));
    }
    batch(form, 0.0, &events)
}

/// Of a vocabulary of 128,000: half of the ids take three bytes, half five.
fn token(group: usize, prompt: usize, at: usize) -> u32 {
    u32::try_from(mix(mix(group, prompt), at) % 128_000).unwrap_or(0)
}

fn mix(a: impl Into<Seed>, b: usize) -> u64 {
    let mut value = a.into().0 ^ (b as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

struct Seed(u64);

impl From<usize> for Seed {
    fn from(value: usize) -> Self {
        Self(value as u64 + 1)
    }
}

impl From<u64> for Seed {
    fn from(value: u64) -> Self {
        Self(value)
    }
}
