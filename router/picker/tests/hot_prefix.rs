//! The overload rule on a hot prefix, as `docs/picking.md` works it out.

use router_picker::{Ask, Candidate, InFlight, Load, Pick, Policy, Reason, pick};

/// Tokens that all prompts share, and those of one prompt.
const SHARED: u32 = 6_000;
const PROMPT: u32 = 7_200;

/// Endpoints whose caches and books are kept as a picker would.
struct Fleet(Vec<Candidate>);

impl Fleet {
    fn idle(endpoints: usize) -> Self {
        let idle = Candidate {
            load: Some(Load::default()),
            ..Candidate::default()
        };
        Self(vec![idle; endpoints])
    }

    /// Picks for a prompt and sends it there.
    fn send(&mut self, seed: u64) -> Pick {
        let ask = Ask {
            prompt_tokens: PROMPT,
            priority: 0,
            seed,
            choices: 2,
        };
        let picked = pick(&Policy::default(), &ask, &self.0).unwrap();
        let chosen = &mut self.0[picked.ranked[0]];
        chosen.in_flight.requests += 1;
        chosen.in_flight.since_scrape += 1;
        chosen.in_flight.prefill_tokens += u64::from(PROMPT - chosen.reusable_tokens);
        chosen.reusable_tokens = SHARED;
        chosen.prefix = f64::from(SHARED) / f64::from(PROMPT);
        picked
    }

    /// Everything that was sent is answered.
    fn rest(&mut self) {
        for candidate in &mut self.0 {
            candidate.in_flight = InFlight::default();
        }
    }
}

#[test]
fn at_low_load_a_prefix_stays_on_one_endpoint() {
    let mut fleet = Fleet::idle(8);
    let home = fleet.send(1).ranked[0];
    for seed in 2..200 {
        fleet.rest();
        let picked = fleet.send(seed);
        assert_eq!(picked.ranked[0], home);
        assert_eq!(picked.reason, Reason::Prefix);
    }
}

#[test]
fn the_eighth_request_of_a_burst_is_the_first_to_spill() {
    for seed in 0..50 {
        let mut fleet = Fleet::idle(8);
        let home = fleet.send(seed).ranked[0];
        for nth in 2..=7 {
            let picked = fleet.send(seed + 1_000 * nth);
            assert_eq!((picked.ranked[0], picked.reason), (home, Reason::Prefix));
        }
        let spilled = fleet.send(seed + 9_000);
        assert_ne!(spilled.ranked[0], home);
        assert_eq!(spilled.reason, Reason::Spill { from: home });
    }
}

#[test]
fn a_hundred_at_once_spread_over_all_and_evenly() {
    for seed in 0..20 {
        let mut fleet = Fleet::idle(8);
        for nth in 0..100 {
            fleet.send(seed * 100 + nth);
        }
        let work: Vec<u64> = fleet.0.iter().map(|c| c.in_flight.prefill_tokens).collect();
        let (least, most) = (work.iter().min().unwrap(), work.iter().max().unwrap());
        // Each computes the shared tokens once, and they end within the slack
        // and one request of one another.
        assert_eq!(work.iter().sum::<u64>(), 8 * 6_000 + 100 * 1_200);
        assert!(most - least <= 2_048 + 1_200, "{work:?}");
    }
}

#[test]
fn the_switch_is_where_the_rule_says() {
    let policy = Policy::default();
    let holder = |prefill_tokens| Candidate {
        load: Some(Load::default()),
        in_flight: InFlight {
            requests: 0,
            prefill_tokens,
            since_scrape: 0,
        },
        reusable_tokens: SHARED,
        prefix: 0.83,
    };
    let other = Candidate {
        load: Some(Load::default()),
        ..Candidate::default()
    };
    let ask = Ask {
        prompt_tokens: PROMPT,
        priority: 0,
        seed: 7,
        choices: 1,
    };
    // 2.0 x 6,000 saved + 2,048 slack.
    for (work, first) in [(14_048, 0), (14_049, 1)] {
        let picked = pick(&policy, &ask, &[holder(work), other]).unwrap();
        assert_eq!(picked.ranked, [first], "{work} tokens of work");
    }
    // The same with the engine's own word: 14 waiting of 1,024, or 220 running of 64.
    for (waiting, running, first) in [(13, 0, 0), (14, 0, 1), (0, 219, 0), (0, 220, 1)] {
        let mut busy = holder(0);
        busy.load = Some(Load {
            waiting,
            running,
            kv_usage: 0.0,
        });
        let picked = pick(&policy, &ask, &[busy, other]).unwrap();
        assert_eq!(picked.ranked, [first], "{waiting} wait, {running} run");
    }
}

#[test]
fn a_short_hot_prefix_does_not_gather_all_running_requests() {
    let busy = Candidate {
        load: Some(Load {
            waiting: 0,
            running: 40,
            kv_usage: 0.1,
        }),
        reusable_tokens: 180,
        prefix: 0.9,
        ..Candidate::default()
    };
    let idle = Candidate {
        load: Some(Load::default()),
        ..Candidate::default()
    };
    let ask = Ask {
        prompt_tokens: 200,
        priority: 0,
        seed: 1,
        choices: 1,
    };
    // 40 x 64 = 2,560 tokens of work against 2 x 180 saved and 2,048 of slack.
    let picked = pick(&Policy::default(), &ask, &[busy, idle]).unwrap();
    assert_eq!(picked.reason, Reason::Spill { from: 0 });
}

/// A second copy must find room: the fuller the other cache, the longer the prefix
/// stays where it is.
#[test]
fn a_full_cache_is_no_place_to_spill_to() {
    let ask = Ask {
        prompt_tokens: PROMPT,
        priority: 0,
        seed: 7,
        choices: 1,
    };
    let loaded = |waiting, kv_usage| Candidate {
        load: Some(Load {
            waiting,
            running: 0,
            kv_usage,
        }),
        ..Candidate::default()
    };
    let first = |waiting, kv_usage| {
        let holder = Candidate {
            reusable_tokens: SHARED,
            prefix: 0.83,
            ..loaded(waiting, 0.0)
        };
        let pool = [holder, loaded(0, kv_usage)];
        pick(&Policy::default(), &ask, &pool).unwrap().ranked[0]
    };
    // Work of 1,024 each, 2 x 1,200 to compute, against 2 x 7,200 by the room left
    // and 2,048 of slack: 14,400, 28,800, 144,000 and, from 0.95 on, 288,000.
    for (kv_usage, stay) in [(0.0, 13), (0.5, 27), (0.9, 140), (0.95, 280), (1.0, 280)] {
        assert_eq!(first(stay, kv_usage), 0, "{stay} wait, {kv_usage} in use");
        assert_eq!(first(stay + 1, kv_usage), 1, "{kv_usage} in use");
    }
}
