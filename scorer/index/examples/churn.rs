//! A long day in short: block events with evictions and restarts, compared with
//! an oracle at checkpoints, while the process's memory is watched.
//!
//! `cargo run --release -p scorer-index --example churn -- 50` for 50 million
//! block events. Ends with an error as soon as one answer differs.

#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]

use std::collections::{HashMap, VecDeque};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use proto_model::{BlockKey, Delta, Endpoint, Holder, Medium, MediumSet, Publisher, Rank, Source};
use scorer_index::{IndexLimits, PrefixIndex, Scratch};

const ENDPOINTS: usize = 64;
/// Blocks that an endpoint keeps on its GPU, and in its host memory.
const GPU_BLOCKS: usize = 20_000;
const CPU_BLOCKS: usize = 40_000;
const CONVERSATIONS: u64 = 6_000;
const BLOCKS: u64 = 400;
/// Blocks at the head of every conversation that it shares with many others.
const SHARED: u64 = 40;
const CHECKPOINTS: u64 = 10;

/// What an engine truly holds.
#[derive(Debug, Default)]
struct Engine {
    holder: u32,
    blocks: HashMap<BlockKey, MediumSet>,
    gpu: VecDeque<BlockKey>,
    cpu: VecDeque<BlockKey>,
}

#[derive(Debug)]
struct Fleet {
    index: PrefixIndex,
    engines: Vec<Engine>,
    holders: u32,
    events: u64,
    random: u64,
}

fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

fn prompt(conversation: u64, blocks: u64) -> impl Iterator<Item = BlockKey> {
    let root = move |at| {
        if at < SHARED {
            conversation % 20
        } else {
            conversation + 1_000
        }
    };
    (0..blocks).map(move |at| BlockKey(mix(mix(root(at)) ^ at << 32)))
}

impl Fleet {
    fn random(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.random) % below
    }

    fn apply(&mut self, delta: &Delta) {
        if let Delta::Stored { keys, .. } | Delta::Removed { keys, .. } = delta {
            self.events += keys.len() as u64;
        }
        self.index.apply(delta);
    }

    /// Begins an engine with nothing; ends what was there before.
    fn restart(&mut self, engine: usize) {
        let before = self.engines[engine].holder;
        if before != 0 {
            self.apply(&Delta::HolderEnded {
                holder: Holder(before),
            });
        }
        self.holders += 1;
        self.engines[engine] = Engine {
            holder: self.holders,
            ..Engine::default()
        };
        let endpoint = Endpoint::new("churn", &format!("10.0.0.{engine}:8000")).expect("valid");
        let publisher = Publisher {
            endpoint,
            rank: Rank(0),
        };
        self.apply(&Delta::HolderBegan {
            holder: Holder(self.holders),
            publisher,
            source: Source::Confirmed,
        });
    }

    /// Serves one request: stores what is missing, then evicts what is too much,
    /// from the GPU to host memory, and from there to nowhere.
    fn serve(&mut self) {
        let engine = self.random(ENDPOINTS as u64) as usize;
        if self.random(400) == 0 {
            self.restart(engine);
        }
        let conversation = self.random(CONVERSATIONS);
        let blocks = 1 + self.random(BLOCKS);
        let state = &mut self.engines[engine];
        let holder = Holder(state.holder);
        let missing = |key: &BlockKey| {
            state
                .blocks
                .get(key)
                .is_none_or(|m| !m.contains(Medium::Gpu))
        };
        let keys: Vec<_> = prompt(conversation, blocks).filter(missing).collect();
        for key in &keys {
            let media = state.blocks.entry(*key).or_default();
            *media = media.with(Medium::Gpu);
            state.gpu.push_back(*key);
        }
        let too_many = state.gpu.len().saturating_sub(GPU_BLOCKS);
        let evicted: Vec<_> = state.gpu.drain(..too_many).collect();
        let mut saved = Vec::new();
        for key in &evicted {
            let media = state.blocks.entry(*key).or_default();
            if !media.contains(Medium::Cpu) && key.0 % 3 == 0 {
                saved.push(*key);
                state.cpu.push_back(*key);
                *media = media.with(Medium::Cpu);
            }
            *media = media.without(Medium::Gpu);
        }
        let too_many = state.cpu.len().saturating_sub(CPU_BLOCKS);
        let lost: Vec<_> = state.cpu.drain(..too_many).collect();
        for key in &lost {
            let media = state.blocks.entry(*key).or_default();
            *media = media.without(Medium::Cpu);
        }
        for key in evicted.iter().chain(&lost) {
            if state.blocks.get(key).is_some_and(|media| media.is_empty()) {
                state.blocks.remove(key);
            }
        }
        self.apply(&Delta::Stored {
            holder,
            medium: Medium::Gpu,
            keys,
        });
        self.apply(&Delta::Stored {
            holder,
            medium: Medium::Cpu,
            keys: saved,
        });
        self.apply(&Delta::Removed {
            holder,
            medium: Medium::Gpu,
            keys: evicted,
        });
        self.apply(&Delta::Removed {
            holder,
            medium: Medium::Cpu,
            keys: lost,
        });
    }

    /// Asks for every conversation; how many answers differ from the truth, and
    /// the mean time of a lookup.
    fn wrong_answers(&self) -> (u64, Duration) {
        let mut scratch = Scratch::new();
        let (mut wrong, mut time) = (0, Duration::ZERO);
        for conversation in 0..CONVERSATIONS {
            let keys: Vec<_> = prompt(conversation, BLOCKS).collect();
            let begin = Instant::now();
            let matches = self.index.lookup(&keys, &mut scratch, None);
            time += begin.elapsed();
            let mut found: Vec<_> = matches
                .iter()
                .map(|m| (m.holder.0, Medium::ALL.map(|medium| m.fastest_on(medium))))
                .collect();
            found.sort_unstable();
            let mut truth: Vec<_> = self.engines.iter().filter_map(|e| e.truth(&keys)).collect();
            truth.sort_unstable();
            wrong += u64::from(found != truth);
        }
        let memberships = self
            .engines
            .iter()
            .flat_map(|engine| engine.blocks.values());
        let memberships: u64 = memberships.map(|m| u64::from(m.bits().count_ones())).sum();
        wrong += u64::from(memberships != self.index.stats().memberships);
        (wrong, time / CONVERSATIONS as u32)
    }
}

impl Engine {
    fn truth(&self, keys: &[BlockKey]) -> Option<(u32, [u32; 4])> {
        let mut counts = [0; 4];
        for medium in keys.iter().map_while(|key| self.blocks.get(key)?.fastest()) {
            counts[medium as usize] += 1;
        }
        (counts != [0; 4]).then_some((self.holder, counts))
    }
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0_u64) * 4096
}

fn main() -> ExitCode {
    let millions: u64 = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(50);
    let mut fleet = Fleet {
        index: PrefixIndex::new(IndexLimits::default()),
        engines: (0..ENDPOINTS).map(|_| Engine::default()).collect(),
        holders: 0,
        events: 0,
        random: 1,
    };
    (0..ENDPOINTS).for_each(|engine| fleet.restart(engine));
    let begin = Instant::now();
    for checkpoint in 1..=CHECKPOINTS {
        while fleet.events < millions * 1_000_000 * checkpoint / CHECKPOINTS {
            fleet.serve();
        }
        let ((wrong, lookup), stats) = (fleet.wrong_answers(), fleet.index.stats());
        println!(
            "{:6.1} M events, {:5.0} s, {:5} holders so far, {:8} blocks, {:8} memberships, {:7} sets, \
             index {:6.1} MB, resident {:6.1} MB, mean lookup {lookup:.1?}, wrong answers {wrong}",
            fleet.events as f64 / 1e6,
            begin.elapsed().as_secs_f64(),
            fleet.holders,
            stats.blocks,
            stats.memberships,
            stats.holder_sets,
            stats.bytes as f64 / 1e6,
            resident_bytes() as f64 / 1e6,
        );
        if wrong > 0 {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
