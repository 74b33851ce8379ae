//! How many block events a second go through Redis into a follower, and what
//! Redis holds for them.
//!
//! `cargo run --release -p indexer-store-redis --example load [host:port] [blocks per engine] [MiB between checkpoints]`
//!
//! The server should be empty: the figures on memory are its own.

use std::error::Error as StdError;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use indexer_store::{IndexWatch, IndexWriter, WatchItem};
use indexer_store_redis::{RedisOptions, RedisStore, Topology};
use proto_model::*;

type BoxError = Box<dyn StdError + Send + Sync>;

const ENGINES: u32 = 16;

/// Blocks per message: a prompt of 1,024 tokens in blocks of 16.
const RUN: u64 = 64;

/// Messages per batch, so that a batch has about 1,000 block events.
const MESSAGES: u64 = 16;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:6379".into());
    let blocks: u64 = arguments.next().map_or(Ok(250_000), |text| text.parse())?;
    let mebibytes: u64 = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let mut options = RedisOptions {
        topology: Topology::Standalone {
            address: address.clone(),
        },
        prefix: "load".to_owned(),
        ..RedisOptions::default()
    };
    options.checkpoint.stream_bytes_min = mebibytes << 20;
    let store = RedisStore::connect(options.clone()).await?;
    let reader = RedisStore::connect(options).await?;
    let mut watch = reader.watch(None);
    while !matches!(watch.next().await, Some(Ok(WatchItem::SnapshotEnd(_)))) {}
    let begun = Instant::now();
    let mut writers = Vec::new();
    for engine in 0..ENGINES {
        writers.push(tokio::spawn(write(Arc::clone(&store), engine, blocks)));
    }
    let (mut events, mut last) = (0, Revision(0));
    for writer in writers {
        let (theirs, revision) = writer.await??;
        events += theirs;
        last = last.max(revision);
    }
    let written = begun.elapsed().as_secs_f64();
    loop {
        match watch.next().await {
            Some(Ok(WatchItem::Deltas { revision, .. } | WatchItem::SnapshotEnd(revision))) => {
                if revision >= last {
                    break;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                writeln!(std::io::stdout(), "the watch ended: {error}")?;
                watch = reader.watch(None);
            }
            None => return Err("the watch is over".into()),
        }
    }
    let followed = begun.elapsed().as_secs_f64();
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{events} block events written in {written:.2} s ({:.0}/s), followed after {followed:.2} s ({:.0}/s)",
        events as f64 / written,
        events as f64 / followed
    )?;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    memory(&address, blocks * u64::from(ENGINES)).await
}

/// One engine: fills its cache, and then replaces half of it.
async fn write(
    store: Arc<RedisStore>,
    number: u32,
    blocks: u64,
) -> Result<(u64, Revision), BoxError> {
    let publisher = Publisher {
        endpoint: Endpoint::new("load", &format!("10.0.0.{number}:8000"))?,
        rank: Rank(0),
    };
    let space = KeySpace {
        profile: Profile::Content,
        model: "model".to_owned(),
        lora: None,
        block_size: 16,
        extras: Extras::Published,
    };
    let (mut sequence, mut events, mut last) = (0, 0, Revision(0));
    while sequence * RUN < blocks + blocks / 2 {
        let mut messages = Vec::new();
        for _ in 0..MESSAGES {
            let first = sequence * RUN;
            let mut changes = vec![stored(first)];
            events += RUN;
            if first >= blocks {
                changes.push(removed(first - blocks));
                events += RUN;
            }
            messages.push(Message {
                sequence,
                timestamp: Timestamp(1_000_000_000 + sequence),
                stream: None,
                changes,
            });
            sequence += 1;
        }
        let command = Command::Events(EventsCommand {
            publisher: publisher.clone(),
            model: "model".to_owned(),
            spaces: vec![space.clone()],
            messages,
        });
        let batch = Batch {
            commands: vec![command],
        };
        last = store.append(&batch).await?.revision;
    }
    Ok((events, last))
}

/// Hashes as engines have them: all bits in use.
fn hash(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn stored(first: u64) -> Change {
    let block = |number| StoredBlock {
        hash: EngineHash(hash(number)),
        local: LocalHash(hash(!number)),
    };
    Change::Stored {
        space: 0,
        medium: Medium::Gpu,
        group: 0,
        parent: None,
        blocks: (first..first + RUN).map(block).collect(),
    }
}

fn removed(first: u64) -> Change {
    Change::Removed {
        medium: Medium::Gpu,
        group: 0,
        hashes: (first..first + RUN)
            .map(|number| EngineHash(hash(number)))
            .collect(),
    }
}

async fn memory(address: &str, memberships: u64) -> Result<(), BoxError> {
    let client = redis::Client::open(format!("redis://{address}"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO")
        .arg("memory")
        .query_async(&mut connection)
        .await?;
    let stream: Option<u64> = redis::cmd("MEMORY")
        .arg(&["USAGE", "{load}:stream"])
        .query_async(&mut connection)
        .await?;
    let checkpoint: Option<u64> = redis::cmd("HGET")
        .arg(&["{load}:meta", "cp_bytes"])
        .query_async(&mut connection)
        .await?;
    let header: Option<u64> = redis::cmd("MEMORY")
        .arg(&["USAGE", "{load}:headers:load/10.0.0.0:8000"])
        .query_async(&mut connection)
        .await?;
    let checkpoint = checkpoint.unwrap_or(0);
    let mut out = std::io::stdout();
    for field in ["used_memory", "used_memory_peak"] {
        let line = info.lines().find_map(|line| line.strip_prefix(field));
        let line = line.unwrap_or_default();
        writeln!(out, "{field}{line}")?;
    }
    writeln!(
        out,
        "{memberships} memberships: checkpoint {checkpoint} bytes ({:.1} each), stream {:?}, headers of an endpoint {:?}",
        checkpoint as f64 / memberships as f64,
        stream,
        header
    )?;
    Ok(())
}
