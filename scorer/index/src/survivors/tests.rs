//! Many holders, whose media differ from block to block.

use proptest::prelude::*;
use proto_model::{BlockKey, Delta, Holder, Medium, MediumSet};

use crate::model_tests::{Answer, answer, began};
use crate::{HolderFilter, IndexLimits, PrefixIndex};

/// How a block is spread over the fleet.
#[derive(Debug, Clone, Copy)]
enum Spread {
    /// Everybody has it on one medium.
    All(Medium),
    /// Most have it on the GPU, the others not at all.
    Most,
    /// One in sixteen has it on another medium than the GPU.
    Moved,
    /// On any media, or none.
    Any,
    /// One holder alone, on any media.
    One(u32),
}

fn spread() -> impl Strategy<Value = Spread> {
    let all = (0..Medium::ALL.len()).prop_map(|medium| Spread::All(Medium::ALL[medium]));
    prop_oneof![
        2 => all,
        4 => Just(Spread::Most),
        4 => Just(Spread::Moved),
        3 => Just(Spread::Any),
        1 => (0_u32..150).prop_map(Spread::One),
    ]
}

/// A holder's media for a block; `dice` are anew for every holder and block.
fn media(spread: Spread, holder: u32, dice: u32) -> MediumSet {
    let gpu = MediumSet::EMPTY.with(Medium::Gpu);
    let any = MediumSet::from_bits((dice >> 8) as u8 & 15);
    match spread {
        Spread::All(medium) => MediumSet::EMPTY.with(medium),
        Spread::Most if dice.is_multiple_of(16) => MediumSet::EMPTY,
        Spread::Moved if dice.is_multiple_of(16) => any.without(Medium::Gpu).with(Medium::Disk),
        Spread::Most | Spread::Moved => gpu,
        Spread::Any => any,
        Spread::One(only) if only == holder => any.with(Medium::Remote),
        Spread::One(_) => MediumSet::EMPTY,
    }
}

fn dice(holder: u32, block: usize) -> u32 {
    let mixed =
        (holder + 1).wrapping_mul(0x9e37_79b9) ^ (block as u32 + 1).wrapping_mul(0x85eb_ca6b);
    (mixed ^ mixed >> 15).wrapping_mul(0x2c1b_3c6d) >> 7
}

fn store(index: &PrefixIndex, holder: u32, block: usize, media: MediumSet) {
    for medium in Medium::ALL {
        if media.contains(medium) {
            index.apply(&Delta::Stored {
                holder: Holder(holder),
                medium,
                keys: vec![BlockKey(block as u64)],
            });
        }
    }
}

/// What a holder with these media, block by block, is answered with.
fn expect(held: &[MediumSet]) -> Option<(u32, [u32; 4], [u32; 4])> {
    let held: Vec<Medium> = held.iter().map_while(|media| media.fastest()).collect();
    let on = |medium| held.iter().filter(|held| **held == medium).count() as u32;
    let within = |medium| held.iter().take_while(|held| **held <= medium).count() as u32;
    let numbers = (
        held.len() as u32,
        Medium::ALL.map(on),
        Medium::ALL.map(within),
    );
    (!held.is_empty()).then_some(numbers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 200 }))]

    #[test]
    fn media_of_many_holders_are_exact(
        holders in 1_u32..if cfg!(miri) { 60 } else { 150 },
        spreads in proptest::collection::vec(spread(), 1..12),
        ended in 5_u32..40,
    ) {
        let index = PrefixIndex::new(IndexLimits::default());
        let mut truth = Answer::new();
        for holder in 0..holders {
            index.apply(&began(Holder(holder)));
            let blocks = spreads.iter().enumerate();
            let held: Vec<MediumSet> = blocks
                .map(|(block, spread)| media(*spread, holder, dice(holder, block)))
                .collect();
            for (block, media) in held.iter().enumerate() {
                store(&index, holder, block, *media);
            }
            if holder % ended == 4 {
                index.apply(&Delta::HolderEnded { holder: Holder(holder) });
            } else if let Some(numbers) = expect(&held) {
                truth.insert(Holder(holder), numbers);
            }
        }
        let keys: Vec<BlockKey> = (0..spreads.len() as u64).map(BlockKey).collect();
        prop_assert_eq!(&answer(&index, &keys, None), &truth);
        while index.sweep(1 << 20) {}
        prop_assert_eq!(&answer(&index, &keys, None), &truth);
        let some: HolderFilter = (0..holders).step_by(3).map(Holder).collect();
        truth.retain(|holder, _| some.allows(*holder));
        prop_assert_eq!(answer(&index, &keys, Some(&some)), truth);
    }
}
