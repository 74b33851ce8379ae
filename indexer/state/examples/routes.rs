//! How fast routes are recorded and expire, and how much memory they take.
//!
//! `cargo run --release -p indexer-state --example routes [keys per route]`
//!
//! Half of every prompt is one that all have in common, as system prompts are.

#![expect(
    clippy::disallowed_methods,
    reason = "it measures time; the crate does not"
)]

use std::io::Write;
use std::time::Instant;

use indexer_state::{State, StateLimits};
use proto_model::*;

const PUBLISHERS: u64 = 64;
const ROUTES: u64 = 4096;

/// Routes are recorded a millisecond apart and count for two seconds.
const STEP: u64 = 1_000;
const LIFETIME: u64 = 2_000_000;

fn main() -> std::io::Result<()> {
    let keys = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(2048);
    let mut out = std::io::stdout().lock();
    for kind in [RouteKind::Speculative, RouteKind::Estimated] {
        measure(kind, keys, &mut out)?;
    }
    Ok(())
}

fn measure(kind: RouteKind, keys: u64, out: &mut impl Write) -> std::io::Result<()> {
    let mut state = State::new(StateLimits::default());
    let (mut recording, mut expiring) = (0.0_f64, 0.0_f64);
    let (mut slowest, mut told) = (0.0_f64, 0);
    for number in 0..ROUTES {
        let route = route(kind, number, keys);
        let until = route.recorded_at;
        let mut deltas = Vec::new();
        let begin = Instant::now();
        state.apply(&Command::RouteRecorded(route), &mut deltas);
        recording += begin.elapsed().as_secs_f64();
        told += deltas.len();
        if number % 100 == 99 {
            let begin = Instant::now();
            state.apply(&Command::Expire { until }, &mut deltas);
            let seconds = begin.elapsed().as_secs_f64();
            expiring += seconds;
            slowest = slowest.max(seconds);
        }
    }
    let stats = state.stats();
    writeln!(
        out,
        "{kind:?}: {:.0} us per route of {keys} keys ({:.0} ns per key), {:.1} deltas; {:.2} ms per sweep, {:.2} at most; {} keys, {:.0} bytes each",
        1e6 * recording / ROUTES as f64,
        1e9 * recording / (ROUTES * keys) as f64,
        told as f64 / ROUTES as f64,
        1e3 * expiring / (ROUTES / 100) as f64,
        1e3 * slowest,
        stats.route_keys,
        stats.table_bytes as f64 / stats.route_keys as f64,
    )
}

fn route(kind: RouteKind, number: u64, keys: u64) -> RouteRecorded {
    let key = |n: u64| BlockKey((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
    let address = format!("10.0.0.{}:8000", number % PUBLISHERS);
    let recorded_at = Timestamp(STEP * number);
    let speculative = kind == RouteKind::Speculative;
    RouteRecorded {
        publisher: Publisher {
            endpoint: address.parse().expect("valid"),
            rank: Rank(0),
        },
        kind,
        recorded_at,
        expires_at: speculative.then_some(Timestamp(recorded_at.0 + LIFETIME)),
        capacity: 31_250,
        keys: (0..keys / 2)
            .chain((number + 1) * keys..(number + 1) * keys + keys - keys / 2)
            .map(key)
            .collect(),
    }
}
