//! The picker before eight simulated engines, under the load of a well-known
//! benchmark: `cargo run --release -p router-picker --example fleet`.
//!
//! 150 customers with 6,000 tokens of shared context each, 5 users per customer
//! with questions of 1,200 tokens, 8 engines that cache 307,328 tokens each;
//! first every user once at 15 requests/s, then stages from 3 to 60 requests/s.
//! Times are those of a model of an engine (`engine.rs`), good for comparing
//! policies with each other and for nothing else.

mod engine;
mod fleet;

use std::io::Write;

use fleet::{Figures, Fleet, Strategy, Workload};
use router_picker::{Policy, Weights};

fn with(change: impl FnOnce(&mut Policy)) -> Strategy {
    let mut policy = Policy::default();
    change(&mut policy);
    Strategy::Picker(policy)
}

fn strategies() -> [(&'static str, Strategy); 11] {
    [
        ("default", with(|_| ())),
        ("saved_factor 0.5", with(|p| p.overload.saved_factor = 0.5)),
        ("saved_factor 1", with(|p| p.overload.saved_factor = 1.0)),
        ("saved_factor 4", with(|p| p.overload.saved_factor = 4.0)),
        ("slack_tokens 512", with(|p| p.overload.slack_tokens = 512)),
        (
            "slack_tokens 8192",
            with(|p| p.overload.slack_tokens = 8_192),
        ),
        ("running_tokens 0", with(|p| p.overload.running_tokens = 0)),
        (
            "no overload rule",
            with(|p| p.overload.slack_tokens = u32::MAX),
        ),
        ("equal weights", with(|p| p.weights = EQUAL)),
        ("by load", with(|p| p.weights.prefix = 0.0)),
        ("random", Strategy::Random),
    ]
}

const EQUAL: Weights = Weights {
    prefix: 1.0,
    queue: 1.0,
    running: 1.0,
    kv: 1.0,
};

fn main() -> std::io::Result<()> {
    let workloads = [
        ("the benchmark: questions come again", false, 0.0),
        ("every question is new", true, 0.0),
        (
            "every question is new, and one customer sends 40 % of them",
            true,
            0.4,
        ),
    ];
    let mut out = std::io::stdout().lock();
    for (title, new_questions, hot) in workloads {
        writeln!(out, "\n{title}")?;
        writeln!(
            out,
            "strategy            TTFT avg    p90    p99 s  queue  reused  spilled"
        )?;
        for (name, strategy) in strategies() {
            let workload = Workload { new_questions, hot };
            report(&mut out, name, &Fleet::new(strategy, workload).run())?;
        }
    }
    Ok(())
}

fn report(out: &mut impl Write, name: &str, figures: &Figures) -> std::io::Result<()> {
    let ttft = &figures.ttft;
    let avg = ttft.iter().sum::<f64>() / ttft.len() as f64;
    let at = |share: f64| ttft[((ttft.len() - 1) as f64 * share) as usize];
    writeln!(
        out,
        "{name:<18} {avg:>9.3} {:>7.3} {:>7.3} {:>6.2} {:>6.1}% {:>8}",
        at(0.9),
        at(0.99),
        figures.queue,
        figures.reused * 100.0,
        figures.spilled
    )
}
