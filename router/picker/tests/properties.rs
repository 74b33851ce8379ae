//! What holds of every choice, whatever goes in.

use proptest::prelude::*;
use router_picker::{
    Ask, Candidate, InFlight, Load, Overload, Pick, Policy, Reason, Refusal, Saturation, Weights,
    pick,
};

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => 0.0..=1.0,
        1 => any::<f64>(),
        1 => Just(f64::NAN),
        1 => Just(5e-324),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ]
}

fn hostile_candidate() -> impl Strategy<Value = Candidate> {
    let load = (any::<u32>(), any::<u32>(), any_number()).prop_map(|(waiting, running, kv)| Load {
        waiting,
        running,
        kv_usage: kv,
    });
    let own = (any::<u32>(), any::<u64>(), any::<u32>());
    (proptest::option::of(load), own, any::<u32>(), any_number()).prop_map(
        |(load, own, reusable_tokens, prefix)| Candidate {
            load,
            in_flight: InFlight {
                requests: own.0,
                prefill_tokens: own.1,
                since_scrape: own.2,
            },
            reusable_tokens,
            prefix,
        },
    )
}

/// Loads and prompts as they are met; steps coarse enough that rounding decides nothing.
fn candidate() -> impl Strategy<Value = Candidate> {
    let load = (0u32..20, 0u32..300, 0u32..=20).prop_map(|(waiting, running, kv)| Load {
        waiting,
        running,
        kv_usage: f64::from(kv) / 20.0,
    });
    let own = (0u32..30, 0u64..40_000, 0u32..10);
    (proptest::option::weighted(0.8, load), own, 0u32..=10).prop_map(|(load, own, tenths)| {
        Candidate {
            load,
            in_flight: InFlight {
                requests: own.0,
                prefill_tokens: own.1,
                since_scrape: own.2,
            },
            reusable_tokens: tenths * 720,
            prefix: f64::from(tenths) / 10.0,
        }
    })
}

fn hostile_policy() -> impl Strategy<Value = Policy> {
    (
        [any_number(), any_number(), any_number(), any_number()],
        any_number(),
        (any::<u32>(), any_number()),
        (any_number(), any::<[u32; 3]>()),
    )
        .prop_map(|(w, near_tie, saturation, overload)| Policy {
            weights: Weights {
                prefix: w[0],
                queue: w[1],
                running: w[2],
                kv: w[3],
            },
            near_tie,
            saturation: Saturation {
                waiting: saturation.0,
                kv_usage: saturation.1,
            },
            overload: Overload {
                saved_factor: overload.0,
                slack_tokens: overload.1[0],
                waiting_tokens: overload.1[1],
                running_tokens: overload.1[2],
            },
        })
}

fn ask(seed: u64, choices: usize) -> Ask {
    Ask {
        prompt_tokens: 7_200,
        priority: 0,
        seed,
        choices,
    }
}

/// Where candidate `of` stands among all.
fn place(candidates: &[Candidate], of: usize, seed: u64) -> usize {
    let all = ask(seed, candidates.len());
    let picked = pick(&Policy::default(), &all, candidates).unwrap();
    picked.ranked.iter().position(|at| *at == of).unwrap()
}

fn well_formed(picked: &Pick, candidates: usize, choices: usize) {
    assert_eq!(picked.ranked.len(), choices.clamp(1, candidates));
    assert_eq!(picked.ranked.len(), picked.scores.len());
    let mut seen = picked.ranked.clone();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(
        seen.len(),
        picked.ranked.len(),
        "an endpoint is ranked twice"
    );
    assert!(seen.iter().all(|at| *at < candidates));
    // A weighted mean may be a rounding error beyond 1.
    assert!(
        picked.scores.iter().all(|s| (0.0..=1.0 + 1e-9).contains(s)),
        "{picked:?}"
    );
    assert!((0.0..=1.0).contains(&picked.saturation));
    if let Reason::Spill { from } = picked.reason {
        assert!(from < candidates && from != picked.ranked[0]);
    }
}

proptest! {
    #[test]
    fn any_input_gives_a_well_formed_choice(
        policy in hostile_policy(),
        candidates in proptest::collection::vec(hostile_candidate(), 1..40),
        prompt_tokens: u32,
        priority: i32,
        seed: u64,
        choices in 0usize..50,
    ) {
        let ask = Ask { prompt_tokens, priority, seed, choices };
        match pick(&policy, &ask, &candidates) {
            Ok(picked) => {
                well_formed(&picked, candidates.len(), choices);
                prop_assert_eq!(pick(&policy, &ask, &candidates), Ok(picked));
            }
            Err(refusal) => {
                prop_assert_eq!(refusal, Refusal::Saturated);
                prop_assert!(priority < 0);
            }
        }
    }

    #[test]
    fn fewer_choices_are_the_head_of_more(
        candidates in proptest::collection::vec(candidate(), 1..80),
        seed: u64,
        choices in 1usize..80,
    ) {
        let policy = Policy::default();
        let all = pick(&policy, &ask(seed, 80), &candidates).unwrap();
        let some = pick(&policy, &ask(seed, choices), &candidates).unwrap();
        prop_assert_eq!(&some.ranked[..], &all.ranked[..some.ranked.len()]);
        prop_assert_eq!(some.reason, all.reason);
    }

    #[test]
    fn more_reusable_tokens_never_lower_a_rank(
        candidates in proptest::collection::vec(candidate(), 1..12),
        at: prop::sample::Index,
        tenths in 0u32..=10,
        seed: u64,
    ) {
        let at = at.index(candidates.len());
        let before = place(&candidates, at, seed);
        let mut after = candidates;
        after[at].reusable_tokens = after[at].reusable_tokens.max(tenths * 720);
        after[at].prefix = after[at].prefix.max(f64::from(tenths) / 10.0);
        prop_assert!(place(&after, at, seed) <= before);
    }

    #[test]
    fn more_load_never_raises_a_rank(
        candidates in proptest::collection::vec(candidate(), 1..12),
        at: prop::sample::Index,
        more: (u8, u8, u8, u8, u16, u8),
        seed: u64,
    ) {
        let at = at.index(candidates.len());
        let before = place(&candidates, at, seed);
        let mut after = candidates;
        if let Some(load) = &mut after[at].load {
            load.waiting += u32::from(more.0);
            load.running += u32::from(more.1);
            load.kv_usage += f64::from(more.2) / 20.0;
        }
        let own = &mut after[at].in_flight;
        own.requests += u32::from(more.3);
        own.prefill_tokens += u64::from(more.4);
        own.since_scrape += u32::from(more.5);
        prop_assert!(place(&after, at, seed) >= before);
    }
}

#[test]
fn nothing_to_pick_from_is_refused() {
    assert_eq!(
        pick(&Policy::default(), &ask(0, 1), &[]),
        Err(Refusal::NoCandidates)
    );
}

#[test]
fn only_requests_below_0_are_shed_and_only_if_all_are_saturated() {
    let busy = Candidate {
        load: Some(Load {
            waiting: 6,
            running: 200,
            kv_usage: 0.9,
        }),
        ..Candidate::default()
    };
    let free = Candidate {
        load: Some(Load::default()),
        ..Candidate::default()
    };
    let with_priority = |priority, pool: &[Candidate]| {
        let ask = Ask {
            priority,
            ..ask(1, 1)
        };
        pick(&Policy::default(), &ask, pool).map(|picked| picked.saturation)
    };
    assert_eq!(with_priority(-1, &[busy, busy]), Err(Refusal::Saturated));
    assert_eq!(with_priority(0, &[busy, busy]), Ok(1.0));
    assert_eq!(with_priority(-1, &[busy, free]), Ok(0.5));
}

#[test]
fn equal_endpoints_get_equal_shares() {
    let mut counts = [0u32; 8];
    for seed in 0..80_000 {
        let picked = pick(
            &Policy::default(),
            &ask(seed, 1),
            &[Candidate::default(); 8],
        )
        .unwrap();
        counts[picked.ranked[0]] += 1;
    }
    // 10,000 each; a binomial of this size strays less than 500 (five sigma).
    assert!(
        counts.iter().all(|n| n.abs_diff(10_000) < 500),
        "{counts:?}"
    );
}

#[test]
fn near_ties_are_shared_in_favour_of_the_better() {
    // A share of the prompt that moves the score by half of `near_tie`: the
    // worse one wins where its draw is ahead by more than that, (1 - 1/2)^2 / 2.
    let policy = Policy::default();
    let weights = policy.weights;
    let sum = weights.prefix + weights.queue + weights.running + weights.kv;
    let better = Candidate {
        prefix: policy.near_tie / 2.0 * sum / weights.prefix,
        ..Candidate::default()
    };
    let pool = [Candidate::default(), better];
    let worse_won = (0..80_000)
        .filter(|seed| pick(&policy, &ask(*seed, 1), &pool).unwrap().ranked == [0])
        .count();
    assert!(worse_won.abs_diff(10_000) < 500, "{worse_won}");
    // Beyond `near_tie` the better one always wins.
    let clear = Candidate {
        prefix: better.prefix * 2.1,
        ..better
    };
    assert!((0..1_000).all(|seed| {
        pick(&policy, &ask(seed, 1), &[Candidate::default(), clear])
            .unwrap()
            .ranked
            == [1]
    }));
}

#[test]
fn reasons_say_why() {
    let idle = Candidate {
        load: Some(Load::default()),
        ..Candidate::default()
    };
    let holder = Candidate {
        reusable_tokens: 6_000,
        prefix: 0.8,
        ..idle
    };
    let reason =
        |policy: &Policy, pool: &[Candidate]| pick(policy, &ask(3, 1), pool).unwrap().reason;
    let policy = Policy::default();
    assert_eq!(reason(&policy, &[holder]), Reason::Only);
    assert_eq!(reason(&policy, &[idle, holder]), Reason::Prefix);
    assert_eq!(reason(&policy, &[holder, holder]), Reason::Load);
    assert_eq!(reason(&policy, &[idle, idle]), Reason::Load);
    let mut blind = policy;
    blind.weights.prefix = 0.0;
    assert_eq!(reason(&blind, &[idle, holder]), Reason::Load);
}
