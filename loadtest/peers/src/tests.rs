//! That the workload is what it says, and that a wrong answer is seen.

use std::time::Duration;

use crate::figures::{Exactness, Figures};
use crate::measure::{Effort, alone, measure, together};
use crate::subject::{Chain, ConcurrentRadix, Ours, Positional, Radix, RadixActor};
use crate::workload::{Act, Evictions, Scenario, Trace, generate};

fn scenario(evictions: Evictions) -> Scenario {
    Scenario {
        endpoints: 12,
        block_tokens: 64,
        prompt_tokens: 4_096,
        evictions,
        memberships: 12_000,
        churn_events: 60_000,
        beside_events: 10_000,
        queries: 200,
        seed: 3,
    }
}

const EFFORT: (usize, Effort) = (
    2,
    Effort {
        lookups: 200,
        longest: Duration::from_secs(5),
        beside: Duration::from_millis(20),
        rate: 100_000.0,
        most_bytes: 1 << 30,
    },
);

fn checks(figures: &Figures) -> [Exactness; 3] {
    [
        figures.loaded.exactness,
        figures.churned.exactness,
        figures.ended,
    ]
}

fn removals(trace: &Trace) -> impl Iterator<Item = (u32, u32)> {
    trace.churn.iter().filter_map(|event| match event.act {
        Act::Removed { from, to, .. } => Some((from, to)),
        _ => None,
    })
}

#[test]
fn the_same_scenario_gives_the_same_trace() {
    let bytes = || postcard::to_allocvec(&generate(&scenario(Evictions::Lru))).expect("encodes");
    assert_eq!(bytes(), bytes());
}

#[test]
fn the_load_fills_the_caches_and_the_churn_keeps_them_full() {
    let trace = generate(&scenario(Evictions::Lru));
    let room = trace.scenario.capacity() as u64 * 12;
    assert!(trace.loaded.memberships > room * 8 / 10);
    assert!(trace.churned.memberships > room / 2);
    assert!(trace.churned.memberships <= room);
    assert!(removals(&trace).count() > 100);
    let is_store = |act: &Act| matches!(act, Act::Stored { .. });
    assert!(trace.load.iter().all(|event| is_store(&event.act)));
    let restarts = trace.churn.iter();
    assert!(restarts.filter(|e| matches!(e.act, Act::Restarted)).count() > 0);
}

#[test]
fn some_prompts_are_held_in_part_and_some_by_many() {
    let trace = generate(&scenario(Evictions::Lru));
    let lengths = trace.churned.answers.iter().zip(&trace.churned.queries);
    let partly = lengths.filter(|(answer, query)| answer.iter().any(|(_, b)| *b < query.blocks));
    assert!(partly.count() > 10);
    assert!(trace.churned.answers.iter().any(|answer| answer.len() > 3));
}

#[test]
fn every_structure_is_exact_while_engines_evict_from_the_end() {
    let trace = generate(&scenario(Evictions::Lru));
    let all = [
        measure::<Ours>(&trace, EFFORT, together).expect("fits"),
        measure::<Chain>(&trace, EFFORT, together).expect("fits"),
        measure::<ConcurrentRadix>(&trace, EFFORT, together).expect("fits"),
        measure::<Radix>(&trace, EFFORT, alone).expect("fits"),
        measure::<RadixActor>(&trace, EFFORT, together).expect("fits"),
        measure::<Positional>(&trace, EFFORT, together).expect("fits"),
    ];
    for (at, figures) in all.iter().enumerate() {
        let exact = checks(figures).map(Exactness::is_exact);
        assert_eq!(exact, [true; 3], "structure {at}: {figures:?}");
        assert_eq!(figures.loaded.exactness.asked, 200);
    }
}

#[test]
fn holes_are_exact_here_and_in_kv_index() {
    let trace = generate(&scenario(Evictions::Scattered));
    let ours = measure::<Ours>(&trace, EFFORT, together).expect("fits");
    let chain = measure::<Chain>(&trace, EFFORT, together).expect("fits");
    for figures in [ours, chain] {
        assert_eq!(checks(&figures).map(Exactness::is_exact), [true; 3]);
    }
    // Jumps over positions: an endpoint that lost some in between is not noticed.
    let positional = measure::<Positional>(&trace, EFFORT, together).expect("fits");
    assert!(!positional.churned.exactness.is_exact());
}

#[test]
fn a_structure_that_takes_too_much_is_given_up() {
    let trace = generate(&scenario(Evictions::Lru));
    let (lanes, effort) = EFFORT;
    let little = Effort {
        most_bytes: 1 << 16,
        ..effort
    };
    let result = measure::<Chain>(&trace, (lanes, little), together);
    assert!(result.is_err_and(|error| error.to_string().contains("--max-gib")));
}

#[test]
fn a_wrong_answer_counts_as_short_or_long() {
    let mut exactness = Exactness::default();
    exactness.compare(&[(1, 5), (2, 3), (4, 1)], &[(1, 4), (2, 7), (9, 1)]);
    exactness.compare(&[(1, 5)], &[(1, 5)]);
    assert_eq!((exactness.asked, exactness.exact), (2, 1));
    assert_eq!((exactness.short, exactness.long), (2, 2));
}
