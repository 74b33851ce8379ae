//! Lookups while the writer writes: every answer must be explained by the state
//! before or after each single change.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use proto_model::{BlockKey, Delta, Endpoint, Holder, Medium, Publisher, Rank, Source};
use scorer_index::{IndexLimits, PrefixIndex, Scratch};

const CHAINS: u64 = if cfg!(miri) { 2 } else { 8 };
const BLOCKS: u64 = if cfg!(miri) { 12 } else { 150 };
const ROUNDS: u32 = if cfg!(miri) { 2 } else { 500 };
/// Holds every chain all the time, on the CPU.
const STEADY: Holder = Holder(0);
/// Holders with these numbers come and go.
const PASSING: u32 = 1_000;

fn chain(number: u64) -> Vec<BlockKey> {
    (0..BLOCKS)
        .map(|at| BlockKey((number + 1) << 32 | at))
        .collect()
}

fn began(holder: Holder) -> Delta {
    let endpoint = Endpoint::new("test", &format!("10.0.0.1:{}", holder.0)).expect("valid");
    Delta::HolderBegan {
        holder,
        publisher: Publisher {
            endpoint,
            rank: Rank(0),
        },
        source: Source::Confirmed,
    }
}

fn stored(holder: Holder, medium: Medium, number: u64) -> Delta {
    Delta::Stored {
        holder,
        medium,
        keys: chain(number),
    }
}

/// A chain's own holder: stores and removes that chain only, on the GPU.
fn owner(number: u64) -> Holder {
    Holder(1 + number as u32)
}

/// One round: every chain comes and goes with its owner, while a passing holder
/// stores a chain, and ends.
fn write(index: &PrefixIndex, round: u32, ended: &AtomicU32) {
    let passing = Holder(PASSING + round);
    index.apply(&began(passing));
    let number = u64::from(round) % CHAINS;
    index.apply(&stored(passing, Medium::Disk, number));
    for number in 0..CHAINS {
        index.apply(&stored(owner(number), Medium::Gpu, number));
        let keys = chain(number).into_iter().rev().collect();
        index.apply(&Delta::Removed {
            holder: owner(number),
            medium: Medium::Gpu,
            keys,
        });
        // Blocks that nobody else holds, so that slots are really used again.
        let own = (CHAINS + u64::from(round)) % (4 * CHAINS) + CHAINS;
        index.apply(&stored(owner(number), Medium::Gpu, own));
        let keys = chain(own);
        index.apply(&Delta::Removed {
            holder: owner(number),
            medium: Medium::Gpu,
            keys,
        });
        index.sweep(1 + round as usize % 300);
    }
    index.apply(&Delta::HolderEnded { holder: passing });
    ended.store(passing.0, Ordering::Release);
    if round % 97 == 5 {
        let mut builder = index.builder();
        builder.apply_all(&beginning());
        index.install(builder);
    }
}

fn beginning() -> Vec<Delta> {
    let mut deltas = vec![began(STEADY)];
    deltas.extend((0..CHAINS).map(owner).map(began));
    deltas.extend((0..CHAINS).map(|number| stored(STEADY, Medium::Cpu, number)));
    deltas
}

fn check(index: &PrefixIndex, scratch: &mut Scratch, number: u64, ended: &AtomicU32) {
    let gone = ended.load(Ordering::Acquire);
    let matches = index.lookup(&chain(number), scratch, None);
    let mut steady = 0;
    for matched in matches.iter() {
        if matched.holder == STEADY {
            steady += 1;
            assert_eq!(matched.blocks, BLOCKS as u32, "the steady holder holds all");
            assert_eq!(matched.fastest_on(Medium::Cpu), matched.blocks);
        } else if matched.holder.0 >= PASSING {
            assert!(matched.holder.0 > gone, "{:?} had ended", matched.holder);
            assert_eq!(u64::from(matched.holder.0 - PASSING) % CHAINS, number);
            assert_eq!(matched.fastest_on(Medium::Disk), matched.blocks);
        } else {
            assert_eq!(matched.holder, owner(number), "nobody else ever held it");
            assert_eq!(matched.fastest_on(Medium::Gpu), matched.blocks);
        }
    }
    assert_eq!(steady, 1);
}

#[test]
fn every_answer_during_writes_is_explained() {
    let index = PrefixIndex::new(IndexLimits::default());
    index.apply_all(&beginning());
    let (done, ended) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for reader in 0..if cfg!(miri) { 1 } else { 3 } {
            let (index, done, ended) = (&index, &done, &ended);
            scope.spawn(move || {
                let mut scratch = Scratch::new();
                let mut number = reader;
                while !done.load(Ordering::Acquire) {
                    check(index, &mut scratch, number % CHAINS, ended);
                    number += 1;
                }
            });
        }
        for round in 0..ROUNDS {
            write(&index, round, &ended);
        }
        done.store(true, Ordering::Release);
    });
}

/// Blocks of one generation; one in eight stays when the others go.
const GENERATION: u64 = 16_000;
const GENERATIONS: u64 = if cfg!(miri) { 0 } else { 40 };

fn kept(generation: u64) -> Vec<BlockKey> {
    let first = (generation + 1) << 32;
    (first..first + GENERATION)
        .step_by(8)
        .map(BlockKey)
        .collect()
}

/// Stores a generation, and lets all but the kept blocks go, so that those are
/// moved together; then drops the kept ones of the generation before the last.
fn turn(index: &PrefixIndex, generation: u64, newest: &AtomicU64) {
    let first = (generation + 1) << 32;
    let all: Vec<_> = (first..first + GENERATION).map(BlockKey).collect();
    let medium = Medium::Gpu;
    index.apply(&Delta::Stored {
        holder: owner(0),
        medium,
        keys: all.clone(),
    });
    index.apply(&Delta::Stored {
        holder: STEADY,
        medium,
        keys: kept(generation),
    });
    newest.store(generation, Ordering::Release);
    index.apply(&Delta::Removed {
        holder: owner(0),
        medium,
        keys: all,
    });
    for _ in 0..40 {
        index.sweep(256);
    }
    if let Some(old) = generation.checked_sub(2) {
        index.apply(&Delta::Removed {
            holder: STEADY,
            medium,
            keys: kept(old),
        });
    }
}

#[test]
fn a_block_that_moves_is_always_found() {
    let index = PrefixIndex::new(IndexLimits::default());
    index.apply_all(&[began(STEADY), began(owner(0))]);
    let (done, newest) = (AtomicBool::new(GENERATIONS == 0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (index, done, newest) = (&index, &done, &newest);
            scope.spawn(move || {
                let mut scratch = Scratch::new();
                while !done.load(Ordering::Acquire) {
                    let generation = newest.load(Ordering::Acquire);
                    for key in kept(generation) {
                        let matches = index.lookup(&[key], &mut scratch, None);
                        let found = matches.iter().any(|m| m.holder == STEADY);
                        let over = newest.load(Ordering::Acquire) > generation + 1;
                        assert!(
                            found || over || generation == 0,
                            "{key:?} is held all the time"
                        );
                        if over {
                            break;
                        }
                    }
                }
            });
        }
        for generation in 0..GENERATIONS {
            turn(&index, generation, &newest);
        }
        done.store(true, Ordering::Release);
    });
}
