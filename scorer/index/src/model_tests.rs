//! Random histories against a model that could not be simpler.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proto_model::{BlockKey, Delta, Endpoint, Holder, Medium, MediumSet, Publisher, Rank, Source};

use crate::audit::audit;
use crate::{HolderFilter, IndexLimits, PrefixIndex, Scratch};

/// What holders' books and lists may take beyond the limit, which guards blocks.
const SMALL_BOOKS: usize = 24 << 10;

/// The model: every block's holders and their media.
#[derive(Debug, Default)]
struct Model {
    blocks: BTreeMap<BlockKey, BTreeMap<Holder, MediumSet>>,
    live: Vec<Holder>,
    next: u32,
}

/// Blocks, and by medium how many have it as their fastest and how many lie
/// within it.
pub(crate) type Answer = BTreeMap<Holder, (u32, [u32; 4], [u32; 4])>;

impl Model {
    fn apply(&mut self, delta: &Delta) {
        match delta {
            Delta::HolderBegan { holder, .. } => self.live.push(*holder),
            Delta::HolderEnded { holder } => {
                self.live.retain(|live| live != holder);
                self.blocks.values_mut().for_each(|holders| {
                    holders.remove(holder);
                });
            }
            Delta::Stored {
                holder,
                medium,
                keys,
            } if self.live.contains(holder) => {
                for key in keys {
                    let media = self
                        .blocks
                        .entry(*key)
                        .or_default()
                        .entry(*holder)
                        .or_default();
                    *media = media.with(*medium);
                }
            }
            Delta::Removed {
                holder,
                medium,
                keys,
            } => {
                for key in keys {
                    if let Some(media) = self.blocks.get_mut(key).and_then(|b| b.get_mut(holder)) {
                        *media = media.without(*medium);
                    }
                }
            }
            _ => {}
        }
        self.blocks
            .values_mut()
            .for_each(|holders| holders.retain(|_, media| !media.is_empty()));
        self.blocks.retain(|_, holders| !holders.is_empty());
    }

    fn lookup(&self, keys: &[BlockKey], candidates: Option<&HolderFilter>) -> Answer {
        let mut answer = Answer::new();
        for holder in self
            .live
            .iter()
            .filter(|h| candidates.is_none_or(|c| c.allows(**h)))
        {
            let media = |key| self.blocks.get(key).and_then(|b| b.get(holder)?.fastest());
            let held: Vec<Medium> = keys.iter().map_while(media).collect();
            if held.is_empty() {
                continue;
            }
            let count = |medium| held.iter().filter(|held| **held == medium).count() as u32;
            let within = |medium| held.iter().take_while(|held| **held <= medium).count() as u32;
            let numbers = (
                held.len() as u32,
                Medium::ALL.map(count),
                Medium::ALL.map(within),
            );
            answer.insert(*holder, numbers);
        }
        answer
    }

    fn memberships(&self) -> u64 {
        let media = self.blocks.values().flat_map(BTreeMap::values);
        media
            .map(|media| u64::from(media.bits().count_ones()))
            .sum()
    }
}

pub(crate) fn answer(
    index: &PrefixIndex,
    keys: &[BlockKey],
    candidates: Option<&HolderFilter>,
) -> Answer {
    let mut scratch = Scratch::new();
    let matches = index.lookup(keys, &mut scratch, candidates);
    let numbers = |m: crate::Match| {
        let fastest = Medium::ALL.map(|medium| m.fastest_on(medium));
        let within = Medium::ALL.map(|medium| m.prefix_within(medium));
        (m.holder, (m.blocks, fastest, within))
    };
    let answer: Answer = matches.iter().map(numbers).collect();
    assert_eq!(answer.len(), matches.len(), "no holder is named twice");
    answer
}

/// What may happen; numbers are reduced to what exists.
#[derive(Debug, Clone)]
enum Event {
    Begin,
    End(usize),
    Store {
        who: usize,
        medium: u8,
        run: (u64, u64, u64),
    },
    Remove {
        who: usize,
        medium: u8,
        run: (u64, u64, u64),
        step: u64,
    },
    Sweep(usize),
    Rebuild,
}

/// A run of blocks: which of the chains, the first and the number of blocks.
/// Chains share their first blocks, as conversations share a system prompt.
fn run() -> impl Strategy<Value = (u64, u64, u64)> {
    (0_u64..6, prop_oneof![Just(0_u64), 0_u64..60], 1_u64..90)
}

fn keys((chain, begin, length): (u64, u64, u64)) -> Vec<BlockKey> {
    let key = |at| {
        if at < 20 + chain {
            at
        } else {
            chain << 32 | at
        }
    };
    (begin..begin + length)
        .map(|at| BlockKey(key(at)))
        .collect()
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Begin),
        1 => any::<usize>().prop_map(Event::End),
        8 => (any::<usize>(), 0_u8..4, run())
            .prop_map(|(who, medium, run)| Event::Store { who, medium, run }),
        5 => (any::<usize>(), 0_u8..4, run(), 1_u64..5)
            .prop_map(|(who, medium, run, step)| Event::Remove { who, medium, run, step }),
        4 => prop_oneof![0_usize..40, 0_usize..5000].prop_map(Event::Sweep),
        1 => Just(Event::Rebuild),
    ]
}

pub(crate) fn began(holder: Holder) -> Delta {
    let endpoint = Endpoint::new("test", &format!("10.0.0.{}:8000", holder.0)).expect("valid");
    Delta::HolderBegan {
        holder,
        publisher: Publisher {
            endpoint,
            rank: Rank(0),
        },
        source: Source::Confirmed,
    }
}

fn delta(event: &Event, model: &mut Model) -> Option<Delta> {
    let who = |n: usize, model: &Model| {
        (!model.live.is_empty()).then(|| model.live[n % model.live.len()])
    };
    Some(match event {
        Event::Begin => {
            model.next += 1;
            began(Holder(model.next))
        }
        Event::End(n) => Delta::HolderEnded {
            holder: who(*n, model)?,
        },
        Event::Store {
            who: n,
            medium,
            run,
        } => Delta::Stored {
            holder: who(*n, model)?,
            medium: Medium::ALL[usize::from(*medium)],
            keys: keys(*run),
        },
        Event::Remove {
            who: n,
            medium,
            run,
            step,
        } => Delta::Removed {
            holder: who(*n, model)?,
            medium: Medium::ALL[usize::from(*medium)],
            keys: keys(*run)
                .into_iter()
                .rev()
                .filter(|key| key.0.is_multiple_of(*step))
                .collect(),
        },
        Event::Sweep(_) | Event::Rebuild => return None,
    })
}

/// Fills an index anew from the model, as a snapshot would.
fn rebuild(index: &PrefixIndex, model: &Model) {
    let mut builder = index.builder();
    for holder in &model.live {
        builder.apply(&began(*holder));
    }
    for (key, holders) in &model.blocks {
        for (holder, media) in holders {
            for medium in Medium::ALL
                .into_iter()
                .filter(|medium| media.contains(*medium))
            {
                builder.apply(&Delta::Stored {
                    holder: *holder,
                    medium,
                    keys: vec![*key],
                });
            }
        }
    }
    index.install(builder);
}

fn check(index: &PrefixIndex, model: &Model) {
    let few: HolderFilter = model.live.iter().copied().step_by(3).collect();
    for chain in 0..6 {
        for begin in [0, 0, 15, 22] {
            let prompt = keys((chain, begin, 120));
            assert_eq!(answer(index, &prompt, None), model.lookup(&prompt, None));
            assert_eq!(
                answer(index, &prompt, Some(&few)),
                model.lookup(&prompt, Some(&few))
            );
        }
    }
    let stats = index.stats();
    assert_eq!(stats.memberships, model.memberships());
    assert_eq!(stats.holders, model.live.len());
    index.inspect(|core| {
        let (blocks, memberships) = audit(core);
        assert_eq!(blocks, stats.blocks);
        assert_eq!(memberships.values().sum::<u64>(), stats.memberships);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 200 }))]

    #[test]
    fn without_memory_answers_are_short_and_never_wrong(
        events in proptest::collection::vec(event(), 1..if cfg!(miri) { 20 } else { 120 }),
        spare in 0_usize..120_000,
    ) {
        let empty = PrefixIndex::new(IndexLimits::default()).stats().bytes;
        let limits = IndexLimits { max_bytes: empty + spare };
        let (index, mut model) = (PrefixIndex::new(limits), Model::default());
        for event in &events {
            match event {
                Event::Sweep(budget) => {
                    index.sweep(*budget);
                }
                Event::Rebuild => {}
                _ => if let Some(delta) = delta(event, &mut model) {
                    index.apply(&delta);
                    model.apply(&delta);
                },
            }
        }
        for chain in 0..6 {
            let prompt = keys((chain, 0, 120));
            let (found, truth) = (answer(&index, &prompt, None), model.lookup(&prompt, None));
            for (holder, (blocks, ..)) in &found {
                prop_assert!(truth.get(holder).is_some_and(|(most, ..)| blocks <= most));
            }
            prop_assert!(index.overflowed() > 0 || found == truth);
        }
        let stats = index.stats();
        prop_assert!(stats.bytes <= limits.max_bytes + SMALL_BOOKS, "{}", stats.bytes);
        index.inspect(|core| {
            let (blocks, memberships) = audit(core);
            assert_eq!((blocks, memberships.values().sum()), (stats.blocks, stats.memberships));
        });
    }

    #[test]
    fn every_history_gives_the_models_answers(
        events in proptest::collection::vec(event(), 1..if cfg!(miri) { 20 } else { 120 }),
    ) {
        let (index, mut model) = (PrefixIndex::new(IndexLimits::default()), Model::default());
        for (n, event) in events.iter().enumerate() {
            match event {
                Event::Sweep(budget) => {
                    index.sweep(*budget);
                }
                Event::Rebuild => rebuild(&index, &model),
                _ => if let Some(delta) = delta(event, &mut model) {
                    index.apply(&delta);
                    model.apply(&delta);
                },
            }
            if n % 16 == 0 {
                check(&index, &model);
            }
        }
        check(&index, &model);
        while index.sweep(1 << 20) {}
        check(&index, &model);
        prop_assert_eq!(index.stats().pending_sweep, 0);
        prop_assert_eq!(index.stats().blocks, model.blocks.len());
    }
}
