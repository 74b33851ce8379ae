//! How fast entries become durable, and how much room they take after hours.
//!
//! `cargo run --release -p indexer-store-raft --example disk -- rate DIRECTORY`
//! `cargo run --release -p indexer-store-raft --example disk -- churn DIRECTORY MIB [BLOCKS]`
//!
//! `churn` appends entries of 64 kB, and every 128 MiB saves a snapshot of a state
//! with `BLOCKS` blocks and purges the log, until `MIB` MiB were appended. It waits
//! for the snapshot when the log has 256 MiB.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use indexer_state::{State, StateLimits};
use indexer_store_raft::disk::{Disk, DiskOptions};
use indexer_store_raft::snapshot::SnapshotImage;
use indexer_store_raft::types::{NodeId, Proposal, TypeConfig};
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::{CommittedLeaderId, Entry, EntryPayload, LogId, SnapshotMeta, StoredMembership};
use proto_model::*;

/// Bytes of log after which a snapshot is taken.
const COMPACT: u64 = 128 << 20;

/// Blocks per publisher of the state.
const PER_PUBLISHER: u64 = 100_000;

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["rate", directory] => rate(Path::new(directory)).await,
        ["churn", directory, mib] => churn(Path::new(directory), number(mib)?, 0).await,
        ["churn", directory, mib, blocks] => {
            churn(Path::new(directory), number(mib)?, number(blocks)?).await
        }
        _ => Err(io::Error::other(
            "usage: disk rate DIRECTORY | disk churn DIRECTORY MIB [BLOCKS]",
        )),
    }
}

fn number(text: &str) -> io::Result<u64> {
    text.parse().map_err(io::Error::other)
}

/// Appends one entry after another, then groups of them.
async fn rate(directory: &Path) -> io::Result<()> {
    let disk = open(directory)?;
    let mut source = Source::new(0);
    for kib in [4, 16, 64, 256] {
        for group in [1, 8] {
            let mut times = Vec::new();
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(4) {
                let entries: Vec<_> = (0..group).map(|_| source.next(kib << 10)).collect();
                let begin = Instant::now();
                append(&disk, entries).await?;
                times.push(begin.elapsed());
            }
            let seconds = begin.elapsed().as_secs_f64();
            purge(&disk, source.last()).await?;
            let entries = (times.len() * group) as f64;
            times.sort_unstable();
            let at = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64() * 1e3;
            writeln!(
                io::stdout(),
                "{kib:>3} KiB x {group}: {:>6.0} entries/s {:>6.1} MB/s  p50 {:.2} ms p99 {:.2} ms",
                entries / seconds,
                entries * (kib << 10) as f64 / seconds / 1e6,
                at(0.5),
                at(0.99),
            )?;
        }
    }
    Ok(())
}

async fn churn(directory: &Path, mib: u64, blocks: u64) -> io::Result<()> {
    let mut disk = open(directory)?;
    let mut source = Source::new(0);
    let state = state(blocks);
    let (mut written, mut next_line) = (0, 0);
    let begin = Instant::now();
    let (mut slowest, mut saving) = (Duration::ZERO, None);
    while written < mib << 20 {
        let entry = source.next(64_000);
        let before = Instant::now();
        append(&disk, vec![entry]).await?;
        slowest = slowest.max(before.elapsed());
        written += 64_000;
        if saving.is_none() && disk.stats().log_bytes > COMPACT {
            saving = Some(tokio::spawn(save(
                disk.clone(),
                source.last(),
                state.clone(),
            )));
        }
        // On a busy machine the snapshot may take long: its rate is not the log's.
        let wait = disk.stats().log_bytes > 2 * COMPACT;
        if saving
            .as_ref()
            .is_some_and(|saving| wait || saving.is_finished())
            && let Some(done) = saving.take()
        {
            let upto = done.await.map_err(io::Error::other)??;
            purge(&disk, upto).await?;
        }
        if written >= next_line {
            next_line += (mib << 20) / 20;
            let on_disk = disk.bytes_on_disk()?;
            writeln!(
                io::stdout(),
                "{:>7} MB appended, {:>5.0} MB/s, {:>5} MB on disk, log {:>4} MB, snapshot {:>4} MB, slowest append {:?}",
                written / 1_000_000,
                written as f64 / begin.elapsed().as_secs_f64() / 1e6,
                on_disk / 1_000_000,
                disk.stats().log_bytes / 1_000_000,
                disk.stats().snapshot_bytes / 1_000_000,
                slowest,
            )?;
            slowest = Duration::ZERO;
        }
    }
    if let Some(done) = saving.take() {
        done.await.map_err(io::Error::other)??;
    }
    drop(disk);
    let begin = Instant::now();
    disk = open(directory)?;
    let opened = begin.elapsed();
    let loaded = disk.snapshots().load().map_err(io::Error::other)?;
    let memberships = loaded.map_or(0, |(_, image)| image.state.stats().memberships);
    writeln!(
        io::stdout(),
        "opened in {opened:?} with {} entries; snapshot of {memberships} memberships loaded after {:?}",
        disk.stats().log_entries,
        begin.elapsed(),
    )
}

fn open(directory: &Path) -> io::Result<Disk> {
    Disk::open(directory, DiskOptions::default(), 1).map_err(io::Error::other)
}

async fn append(disk: &Disk, entries: Vec<Entry<TypeConfig>>) -> io::Result<()> {
    let appended = disk.log().blocking_append(entries).await;
    appended.map_err(io::Error::other)
}

async fn purge(disk: &Disk, upto: LogId<NodeId>) -> io::Result<()> {
    disk.log().purge(upto).await.map_err(io::Error::other)
}

async fn save(disk: Disk, upto: LogId<NodeId>, state: State) -> io::Result<LogId<NodeId>> {
    let meta = SnapshotMeta {
        last_log_id: Some(upto),
        last_membership: StoredMembership::default(),
        snapshot_id: upto.to_string(),
    };
    let image = SnapshotImage {
        cluster: None,
        revision: Revision(upto.index),
        state,
    };
    let saved = disk.snapshots().save(meta, image).await;
    saved.map(|()| upto).map_err(io::Error::other)
}

/// Entries that do not compress and are all different.
struct Source {
    index: u64,
    random: u64,
}

impl Source {
    fn new(index: u64) -> Self {
        Self {
            index,
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    fn next(&mut self, length: usize) -> Entry<TypeConfig> {
        let mut content = Vec::with_capacity(length + 8);
        while content.len() < length {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            content.extend_from_slice(&self.random.to_le_bytes());
        }
        self.index += 1;
        Entry {
            log_id: self.last(),
            payload: EntryPayload::Normal(Proposal::Batches(vec![Bytes::from(content)])),
        }
    }

    fn last(&self) -> LogId<NodeId> {
        LogId::new(CommittedLeaderId::new(1, 1), self.index)
    }
}

/// A state with that many blocks.
fn state(blocks: u64) -> State {
    let mut state = State::new(StateLimits::default());
    for first in (0..blocks).step_by(PER_PUBLISHER as usize) {
        let last = blocks.min(first + PER_PUBLISHER);
        state.apply(&stored(first, last), &mut Vec::new());
    }
    state
}

fn stored(first: u64, last: u64) -> Command {
    let block = |number: u64| StoredBlock {
        hash: EngineHash(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        local: LocalHash(number),
    };
    let changes = vec![Change::Stored {
        space: 0,
        medium: Medium::Gpu,
        group: 0,
        parent: None,
        blocks: (first..last).map(block).collect(),
    }];
    let address = format!("10.0.0.{}:8000", first / PER_PUBLISHER % 250);
    Command::Events(EventsCommand {
        publisher: Publisher {
            endpoint: Endpoint::new("churn", &address).unwrap_or_else(|error| {
                // The address is built from small numbers above.
                unreachable!("{error}")
            }),
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
        messages: vec![Message {
            sequence: 0,
            timestamp: Timestamp(1_000),
            stream: None,
            changes,
        }],
    })
}
