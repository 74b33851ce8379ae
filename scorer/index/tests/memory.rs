//! Memory: bounded, and given back.

use proto_model::{BlockKey, Delta, Endpoint, Holder, Medium, Publisher, Rank, Source};
use scorer_index::{IndexLimits, PrefixIndex, Scratch};

fn began(number: u32) -> Delta {
    let endpoint = Endpoint::new("test", &format!("10.0.0.1:{number}")).expect("valid");
    Delta::HolderBegan {
        holder: Holder(number),
        publisher: Publisher {
            endpoint,
            rank: Rank(0),
        },
        source: Source::Confirmed,
    }
}

fn stored(holder: u32, keys: impl Iterator<Item = u64>) -> Delta {
    let keys = keys.map(BlockKey).collect();
    Delta::Stored {
        holder: Holder(holder),
        medium: Medium::Gpu,
        keys,
    }
}

fn removed(holder: u32, keys: impl Iterator<Item = u64>) -> Delta {
    let keys = keys.map(BlockKey).collect();
    Delta::Removed {
        holder: Holder(holder),
        medium: Medium::Gpu,
        keys,
    }
}

fn blocks_of(index: &PrefixIndex, holder: u32, keys: impl Iterator<Item = u64>) -> u32 {
    let keys: Vec<BlockKey> = keys.map(BlockKey).collect();
    let mut scratch = Scratch::new();
    let matches = index.lookup(&keys, &mut scratch, None);
    matches
        .iter()
        .find(|m| m.holder == Holder(holder))
        .map_or(0, |m| m.blocks)
}

#[test]
fn ended_holders_give_their_memory_back() {
    let index = PrefixIndex::new(IndexLimits::default());
    let empty = index.stats().bytes;
    for round in 0..3_u32 {
        let holders = (0..40).map(|n| round * 40 + n);
        for holder in holders.clone() {
            index.apply(&began(holder));
            let own = u64::from(holder + 1) << 32;
            index.apply(&stored(holder, (0..500).chain(own..own + 5_000)));
        }
        let full = index.stats();
        assert_eq!(full.memberships, 40 * 5_500);
        assert!(full.bytes > empty + 200_000 * 12);
        for holder in holders {
            index.apply(&Delta::HolderEnded {
                holder: Holder(holder),
            });
        }
        assert_eq!(index.stats().memberships, 0);
        assert!(index.stats().pending_sweep > 0);
        while index.sweep(10_000) {}
        let after = index.stats();
        assert_eq!(
            (after.blocks, after.holder_sets, after.pending_sweep),
            (0, 0, 0)
        );
        assert!(
            after.bytes < empty * 4,
            "{} of {} when empty",
            after.bytes,
            empty
        );
    }
}

/// Nobody calls `sweep`: what ended holders leave must go as fast as more comes.
#[test]
fn restarts_without_idle_time_do_not_let_memory_grow() {
    let index = PrefixIndex::new(IndexLimits::default());
    let (mut most, mut next) = (0, 0_u64);
    for round in 0..40_u32 {
        for holder in round * 8..(round + 1) * 8 {
            if let Some(before) = holder.checked_sub(8) {
                index.apply(&Delta::HolderEnded {
                    holder: Holder(before),
                });
            }
            index.apply(&began(holder));
            for _ in 0..20 {
                index.apply(&stored(holder, next..next + 1_000));
                next += 1_000;
            }
        }
        let stats = index.stats();
        assert_eq!(stats.memberships, 8 * 20_000);
        most = most.max(stats.blocks);
    }
    assert!(most < 2 * 8 * 20_000, "{most} blocks at most, 160,000 held");
}

#[test]
fn evictions_here_and_there_give_memory_back() {
    let index = PrefixIndex::new(IndexLimits::default());
    index.apply(&began(1));
    index.apply(&stored(1, 0..400_000));
    let full = index.stats().bytes;
    // One block in ten stays, so no page becomes empty by itself.
    index.apply(&removed(1, (0..400_000).filter(|key| key % 10 != 0)));
    while index.sweep(10_000) {}
    let stats = index.stats();
    assert_eq!(stats.blocks, 40_000);
    assert!(stats.bytes < full / 3, "{} of {full}", stats.bytes);
    for key in (0..400_000).step_by(10) {
        assert_eq!(blocks_of(&index, 1, key..key + 2), 1, "block {key}");
    }
}

/// A block that is moved while a round is under way must not escape the round:
/// the ended holder's slot would still be in its set when the next holder gets it.
#[test]
fn blocks_that_move_during_a_sweep_are_swept() {
    let index = PrefixIndex::new(IndexLimits::default());
    (1..=3).for_each(|holder| index.apply(&began(holder)));
    index.apply(&stored(1, 0..100_000));
    let some = || (0..100_000).filter(|key| key % 10 == 0);
    index.apply(&stored(2, some()));
    index.apply(&stored(3, some()));
    for (part, holder) in [(0_u64, 2), (1, 4), (2, 5), (3, 6)] {
        index.apply(&removed(1, part * 25_000..(part + 1) * 25_000));
        index.apply(&Delta::HolderEnded {
            holder: Holder(holder),
        });
        let next = holder.max(3) + 1;
        index.apply(&began(next));
        index.apply(&stored(next, some()));
        index.sweep(20_000);
    }
    index.apply(&Delta::HolderEnded { holder: Holder(7) });
    while index.sweep(500) {}
    for newcomer in 8..12 {
        index.apply(&began(newcomer));
        for key in some() {
            assert_eq!(blocks_of(&index, newcomer, key..key + 1), 0, "block {key}");
        }
    }
    assert!(some().all(|key| blocks_of(&index, 3, key..key + 1) == 1));
}

#[test]
fn many_different_sets_give_memory_back() {
    let index = PrefixIndex::new(IndexLimits::default());
    (0..1000).for_each(|holder| index.apply(&began(holder)));
    // Every block gets a set of its own.
    for holder in 0..1000_u32 {
        let has = |key: &u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (holder % 50) & 3 == 0;
        index.apply(&stored(holder, (0..4_000).filter(has)));
    }
    let full = index.stats();
    assert!(full.holder_sets > 3_000, "{}", full.holder_sets);
    for holder in 0..990 {
        index.apply(&Delta::HolderEnded {
            holder: Holder(holder),
        });
    }
    while index.sweep(10_000) {}
    // The sets of the last ten are in pages that the first round left sparse.
    index.apply(&stored(999, 0..1));
    while index.sweep(10_000) {}
    let stats = index.stats();
    assert!(
        stats.bytes < full.bytes / 3,
        "{} of {}",
        stats.bytes,
        full.bytes
    );
}

#[test]
fn beyond_the_limit_blocks_are_refused_and_counted() {
    let limits = IndexLimits { max_bytes: 1 << 20 };
    let index = PrefixIndex::new(limits);
    index.apply(&began(1));
    index.apply(&began(2));
    index.apply(&stored(1, 0..100_000));
    let full = index.stats();
    assert!(full.bytes <= limits.max_bytes, "{}", full.bytes);
    assert_eq!(full.memberships + index.overflowed(), 100_000);
    assert!(full.memberships > 20_000, "{}", full.memberships);
    assert_eq!(
        u64::from(blocks_of(&index, 1, 0..100_000)),
        full.memberships
    );
    assert_eq!(blocks_of(&index, 2, 0..100_000), 0);

    index.apply(&Delta::HolderEnded { holder: Holder(1) });
    while index.sweep(10_000) {}
    let refused = index.overflowed();
    index.apply(&stored(2, 0..20_000));
    assert_eq!(index.overflowed(), refused, "there is room again");
    assert_eq!(blocks_of(&index, 2, 0..100_000), 20_000);
}

#[test]
fn idle_upkeep_goes_on_until_all_of_the_table_fits() {
    let index = PrefixIndex::new(IndexLimits::default());
    index.apply(&began(1));
    index.apply(&stored(1, 0..60_000));
    // Too little goes for a piece to shrink at once, but enough to be worth it.
    index.apply(&removed(1, 0..30_000));
    let before = index.bytes();
    while index.sweep(1_000) {}
    let fits = index.bytes();
    assert!(fits < before, "{fits} of {before}");
    while index.sweep(10_000_000) {}
    assert_eq!(index.bytes(), fits, "nothing was left to give back");
}

/// A third of all blocks, another third for each holder.
fn holds(holder: u32, block: u64) -> bool {
    let mixed = (block << 32 | u64::from(holder)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32 < (1 << 32) / 3
}

/// Every block has a set of its own, and most of them go: then the rest are moved
/// together.
fn sparse_sets(holders: u32, blocks: u64) -> (PrefixIndex, u64) {
    let index = PrefixIndex::new(IndexLimits::default());
    let mut kept = 0;
    for holder in 0..holders {
        index.apply(&began(holder));
        let own = (0..blocks).filter(|block| holds(holder, *block));
        kept += own.clone().filter(|block| block % 4 == 0).count() as u64;
        index.apply(&stored(holder, own));
    }
    for holder in 0..holders {
        let gone = (0..blocks).filter(|block| block % 4 != 0);
        index.apply(&removed(holder, gone));
    }
    (index, kept)
}

#[test]
fn what_is_told_again_counts_once_while_sets_are_moved() {
    let (holders, blocks) = (300, 12_000);
    let (index, kept) = sparse_sets(holders, blocks);
    assert_eq!(index.stats().memberships, kept);
    let again: Vec<u64> = (0..blocks).step_by(4).collect();
    for _ in 0..200 {
        index.sweep(64);
        let has = again.iter().filter(|block| holds(7, **block));
        index.apply(&stored(7, has.copied()));
        let has_not = again.iter().filter(|block| !holds(7, **block));
        index.apply(&removed(7, has_not.copied()));
        assert_eq!(index.stats().memberships, kept);
    }
    for holder in 0..holders {
        let holder = Holder(holder);
        index.apply(&Delta::HolderEnded { holder });
    }
    assert_eq!(index.stats().memberships, 0);
}

#[test]
fn sweeps_of_any_size_end_and_leave_nothing_to_do() {
    for budget in [1, 3, 4096] {
        let (index, kept) = sparse_sets(300, 12_000);
        let mut calls = 0;
        while index.sweep(budget) {
            calls += 1;
            assert!(calls < 1_000_000, "no end with {budget} steps a call");
        }
        let swept = index.stats();
        assert_eq!(swept.memberships, kept);
        index.sweep(1 << 20);
        assert_eq!(index.stats().bytes, swept.bytes, "{budget}");
    }
}
