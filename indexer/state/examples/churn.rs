//! How fast the state applies, and how much memory it takes.
//!
//! `cargo run --release -p indexer-state --example churn [blocks per publisher] [routed keys per publisher]`
//!
//! With routed keys, every removed block is looked up among them, too.

#![expect(
    clippy::disallowed_methods,
    reason = "it measures time; the crate does not"
)]

use std::io::Write;
use std::time::Instant;

use indexer_state::{State, StateLimits};
use proto_model::*;

const PUBLISHERS: u32 = 16;

/// Blocks per stored run: a prompt of 1,024 tokens in blocks of 16.
const RUN: u64 = 64;

fn main() -> std::io::Result<()> {
    let blocks = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(250_000);
    let mut engines: Vec<Engine> = (0..PUBLISHERS).map(|n| Engine::new(n, blocks)).collect();
    let mut state = State::new(StateLimits::default());
    let routed: u64 = std::env::args()
        .nth(2)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    for engine in engines.iter().filter(|_| routed > 0) {
        state.apply(&engine.route(routed), &mut Vec::new());
    }
    let mut out = std::io::stdout().lock();
    for round in ["fill", "churn", "churn", "churn"] {
        let (mut seconds, mut events) = (0.0, 0);
        for _ in 0..blocks / RUN {
            for engine in &mut engines {
                let (command, count) = engine.next();
                let mut deltas = Vec::new();
                let begin = Instant::now();
                state.apply(&command, &mut deltas);
                seconds += begin.elapsed().as_secs_f64();
                events += count;
            }
        }
        let stats = state.stats();
        writeln!(
            out,
            "{round}: {:.2} million block events/s, {} memberships, {:.1} bytes each in tables, {} MiB resident",
            events as f64 / seconds / 1e6,
            stats.memberships,
            stats.table_bytes as f64 / stats.memberships as f64,
            resident_kib()? / 1024,
        )?;
    }
    let begin = Instant::now();
    let keys: usize = state
        .view()
        .map(|delta| {
            if let Delta::Stored { keys, .. } = delta {
                keys.len()
            } else {
                0
            }
        })
        .sum();
    writeln!(
        out,
        "view: {keys} keys in {:.2} s",
        begin.elapsed().as_secs_f64()
    )?;
    let begin = Instant::now();
    let copy = state.clone();
    writeln!(out, "cut: {:.1} us", begin.elapsed().as_secs_f64() * 1e6)?;
    let (command, _) = engines[0].next();
    let begin = Instant::now();
    state.apply(&command, &mut Vec::new());
    writeln!(
        out,
        "first change of a publisher under a cut: {:.1} ms",
        begin.elapsed().as_secs_f64() * 1e3
    )?;
    drop(copy);
    Ok(())
}

/// Stores runs of new blocks, and evicts the oldest once it is full.
struct Engine {
    publisher: Publisher,
    space: KeySpace,
    next: u64,
    hash: u64,
    oldest: u64,
    blocks: u64,
}

impl Engine {
    fn new(number: u32, blocks: u64) -> Self {
        let endpoint: Endpoint = format!("10.0.0.{number}:8000").parse().expect("valid");
        let space = KeySpace {
            profile: Profile::Content,
            model: "model".to_owned(),
            lora: None,
            block_size: 16,
            extras: Extras::Published,
        };
        let hash = u64::from(number) << 40;
        Self {
            publisher: Publisher {
                endpoint,
                rank: Rank(0),
            },
            space,
            next: 0,
            hash,
            oldest: hash,
            blocks,
        }
    }

    /// A prompt of which the engine never says anything.
    fn route(&self, keys: u64) -> Command {
        Command::RouteRecorded(RouteRecorded {
            publisher: self.publisher.clone(),
            kind: RouteKind::Speculative,
            recorded_at: Timestamp(1),
            expires_at: Some(Timestamp(u64::MAX)),
            capacity: u32::MAX,
            keys: (0..keys).map(|key| BlockKey(!spread(key).0)).collect(),
        })
    }

    fn next(&mut self) -> (Command, u64) {
        let block = |hash: u64| StoredBlock {
            hash: spread(hash),
            local: LocalHash(spread(hash).0),
        };
        let stored = Change::Stored {
            space: 0,
            medium: Medium::Gpu,
            group: 0,
            parent: None,
            blocks: (self.hash..self.hash + RUN).map(block).collect(),
        };
        self.hash += RUN;
        let mut changes = vec![stored];
        let mut count = RUN;
        if self.hash - self.oldest > self.blocks {
            let hashes = (self.oldest..self.oldest + RUN).map(spread).collect();
            self.oldest += RUN;
            changes.insert(
                0,
                Change::Removed {
                    medium: Medium::Gpu,
                    group: 0,
                    hashes,
                },
            );
            count += RUN;
        }
        let message = Message {
            sequence: self.next,
            timestamp: Timestamp(self.next),
            stream: None,
            changes,
        };
        self.next += 1;
        let command = EventsCommand {
            publisher: self.publisher.clone(),
            model: "model".to_owned(),
            spaces: vec![self.space.clone()],
            messages: vec![message],
        };
        (Command::Events(command), count)
    }
}

fn spread(number: u64) -> EngineHash {
    EngineHash(
        (number + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29),
    )
}

fn resident_kib() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0))
}
