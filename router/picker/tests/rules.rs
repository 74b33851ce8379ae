//! Each rule of `docs/picking.md` in a case that only this rule decides.

use router_picker::{Ask, Candidate, InFlight, Load, Policy, Reason, pick};

fn loaded(waiting: u32, running: u32) -> Candidate {
    Candidate {
        load: Some(Load {
            waiting,
            running,
            kv_usage: 0.0,
        }),
        ..Candidate::default()
    }
}

fn with_prefix(candidate: Candidate, reusable_tokens: u32, prefix: f64) -> Candidate {
    Candidate {
        reusable_tokens,
        prefix,
        ..candidate
    }
}

/// Who is first, and why, whatever the seed.
fn first(policy: &Policy, prompt_tokens: u32, candidates: &[Candidate]) -> (usize, Reason) {
    let with = |seed| {
        let ask = Ask {
            prompt_tokens,
            priority: 0,
            seed,
            choices: 1,
        };
        let picked = pick(policy, &ask, candidates).unwrap();
        (picked.ranked[0], picked.reason)
    };
    let outcome = with(0);
    assert!(
        (1..500).all(|seed| with(seed) == outcome),
        "the seed decides"
    );
    outcome
}

fn usual(candidates: &[Candidate]) -> (usize, Reason) {
    first(&Policy::default(), 7_200, candidates)
}

#[test]
fn what_was_sent_after_the_sample_counts_as_waiting() {
    let mut sent = loaded(0, 9);
    sent.in_flight = InFlight {
        requests: 3,
        prefill_tokens: 0,
        since_scrape: 3,
    };
    let mut seen = sent;
    seen.in_flight.since_scrape = 0;
    assert_eq!(usual(&[sent, seen]), (1, Reason::Load));
}

#[test]
fn what_was_sent_and_is_unfinished_counts_as_running() {
    let mut sent = loaded(0, 0);
    // 30 x 64 tokens are within the slack: the score decides.
    sent.in_flight.requests = 30;
    assert_eq!(usual(&[sent, loaded(0, 0)]), (1, Reason::Load));
}

#[test]
fn unfinished_requests_make_work_even_where_the_engine_shows_none() {
    let mut holder = with_prefix(loaded(0, 0), 180, 0.9);
    holder.in_flight.requests = 37;
    assert_eq!(usual(&[holder, loaded(0, 0)]), (0, Reason::Prefix));
    holder.in_flight.requests = 38;
    assert_eq!(
        usual(&[holder, loaded(0, 0)]),
        (1, Reason::Spill { from: 0 })
    );
}

#[test]
fn what_waits_and_what_was_sent_is_mostly_the_same_work() {
    let mut holder = with_prefix(loaded(7, 0), 6_000, 0.8);
    // 7 x 1,024 and 7,000 are both below 14,048; their sum is not.
    holder.in_flight.prefill_tokens = 7_000;
    assert_eq!(usual(&[holder, loaded(0, 0)]), (0, Reason::Prefix));
}

#[test]
fn who_says_nothing_does_not_set_the_least_cost() {
    // 3 x 1,024 tokens of work are more than the slack above the silent one's 0.
    let holder = with_prefix(loaded(3, 0), 100, 0.1);
    assert_eq!(usual(&[holder, Candidate::default()]), (0, Reason::Prefix));
}

#[test]
fn no_more_is_reused_than_the_prompt_has() {
    let mut holder = with_prefix(loaded(0, 0), 6_000, 0.9);
    holder.in_flight.prefill_tokens = 5_000;
    let pool = [holder, loaded(0, 0)];
    let policy = Policy::default();
    assert_eq!(first(&policy, 100, &pool), (1, Reason::Spill { from: 0 }));
    // A prompt of unknown length sets no bound.
    assert_eq!(first(&policy, 0, &pool), (0, Reason::Prefix));
}

#[test]
fn without_a_weight_for_the_prefix_the_load_alone_decides() {
    let mut policy = Policy::default();
    policy.weights.prefix = 0.0;
    let pool = [with_prefix(loaded(1, 0), 6_000, 0.9), loaded(0, 0)];
    assert_eq!(first(&policy, 7_200, &pool), (1, Reason::Load));
}

#[test]
fn many_saved_tokens_outweigh_a_small_share_of_the_prompt() {
    // A tenth of a very long prompt: by the score alone the idle one would win.
    let holder = with_prefix(loaded(2, 60), 20_000, 0.1);
    assert_eq!(
        first(&Policy::default(), 200_000, &[holder, loaded(0, 0)]),
        (0, Reason::Prefix)
    );
}

#[test]
fn fallbacks_that_are_too_busy_come_last() {
    let ask = Ask {
        prompt_tokens: 7_200,
        priority: 0,
        seed: 1,
        choices: 3,
    };
    let buried = with_prefix(loaded(100, 0), 6_000, 0.8);
    let pool = [buried, loaded(0, 0), loaded(1, 0)];
    let picked = pick(&Policy::default(), &ask, &pool).unwrap();
    assert_eq!(picked.ranked, [1, 2, 0]);
    assert_eq!(picked.reason, Reason::Spill { from: 0 });
}
