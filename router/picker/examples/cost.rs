//! What a choice costs: `cargo run --release -p router-picker --example cost`.

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use router_picker::{Ask, Candidate, InFlight, Load, Policy, pick};

const ROUNDS: u64 = 2_000;

#[expect(clippy::disallowed_methods, reason = "this program measures time")]
fn now() -> Instant {
    Instant::now()
}

fn candidate(at: usize, silent: bool) -> Candidate {
    let n = at as u32;
    Candidate {
        load: (!silent).then(|| Load {
            waiting: n % 7,
            running: n % 61,
            kv_usage: f64::from(n % 10) / 10.0,
        }),
        in_flight: InFlight {
            requests: n % 13,
            prefill_tokens: u64::from(n % 5) * 1_200,
            since_scrape: n % 2,
        },
        reusable_tokens: (n % 4) * 2_000,
        prefix: f64::from(n % 4) * 0.25,
    }
}

fn measure(candidates: &[Candidate], choices: usize) -> [Duration; 2] {
    let policy = Policy::default();
    let mut took: Vec<Duration> = (0..ROUNDS)
        .map(|seed| {
            let ask = Ask {
                prompt_tokens: 7_200,
                priority: 0,
                seed,
                choices,
            };
            let began = now();
            black_box(pick(&policy, &ask, black_box(candidates)).ok());
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    [took[took.len() / 2], took[took.len() * 99 / 100]]
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for endpoints in [8, 64, 1_000, 4_000] {
        for (choices, silent_one_in) in [(1, 0), (3, 10), (endpoints, 0)] {
            let candidates: Vec<Candidate> = (0..endpoints)
                .map(|at| candidate(at, silent_one_in > 0 && at % silent_one_in == 0))
                .collect();
            let [p50, p99] = measure(&candidates, choices);
            writeln!(
                out,
                "{endpoints} endpoints, {choices} choices, silent: {}: p50 {p50:?}, p99 {p99:?}",
                if silent_one_in > 0 { "1 in 10" } else { "none" }
            )?;
        }
    }
    Ok(())
}
