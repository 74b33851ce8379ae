//! What a block costs on its way: written, read, and its bytes.
//!
//! `cargo run --release -p proto-api --example batch_cost`

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use proto_api::AppendRequest;
use proto_model::{
    Batch, Change, Command, Endpoint, EngineHash, EventsCommand, Extras, KeySpace, LocalHash,
    Medium, Message, Profile, Publisher, Rank, StoredBlock, Timestamp,
};

/// Blocks in one batch.
const BLOCKS: usize = 65_536;
const ROUNDS: u32 = 200;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "blocks/message  bytes/block  write ns  read ns  together ns"
    )?;
    for per_message in [1, 4, 16, 64, 256] {
        let batch = batch(per_message);
        let request = AppendRequest::of(&batch);
        let write = nanos(|| AppendRequest::of(black_box(&batch)).len());
        let read = nanos(|| request.batch(usize::MAX).map_or(0, |b| b.commands.len()));
        let bytes = request.len() as f64 / BLOCKS as f64;
        let both = write + read;
        writeln!(
            out,
            "{per_message:14}  {bytes:11.1}  {write:8.1}  {read:7.1}  {both:11.1}"
        )?;
    }
    Ok(())
}

/// Nanoseconds per block.
fn nanos(mut work: impl FnMut() -> usize) -> f64 {
    black_box(work());
    let since = Instant::now();
    for _ in 0..ROUNDS {
        black_box(work());
    }
    since.elapsed().as_nanos() as f64 / f64::from(ROUNDS) / BLOCKS as f64
}

/// Half of the blocks are stored, half removed.
fn batch(per_message: usize) -> Batch {
    let messages = (0..BLOCKS / per_message).map(|sequence| Message {
        sequence: sequence as u64,
        timestamp: Timestamp(1_790_000_000_000_000),
        stream: None,
        changes: vec![change(sequence, per_message)],
    });
    let command = EventsCommand {
        publisher: Publisher {
            endpoint: Endpoint::new("default", "10.0.0.1:8000").expect("a valid address"),
            rank: Rank(0),
        },
        model: "model".to_owned(),
        spaces: vec![KeySpace {
            profile: Profile::Content,
            model: "model".to_owned(),
            lora: None,
            block_size: 16,
            extras: Extras::Published,
        }],
        messages: messages.collect(),
    };
    Batch {
        commands: vec![Command::Events(command)],
    }
}

fn change(sequence: usize, blocks: usize) -> Change {
    let hash =
        |n: usize| EngineHash(((sequence * blocks + n) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    if sequence % 2 == 1 {
        return Change::Removed {
            medium: Medium::Gpu,
            group: 0,
            hashes: (0..blocks).map(hash).collect(),
        };
    }
    let block = |n| StoredBlock {
        hash: hash(n),
        local: LocalHash(!hash(n).0),
    };
    Change::Stored {
        space: 0,
        medium: Medium::Gpu,
        group: 0,
        parent: Some(hash(blocks)),
        blocks: (0..blocks).map(block).collect(),
    }
}
