//! Measures how a replica takes over a large snapshot: seconds, memory, and what
//! queries feel of it.
//!
//! `cargo run --release -p scorer-server --example snapshot -- 5000000`
//!
//! The snapshot is an embedded store's, of engines that hold conversations of
//! 128 blocks, a quarter of each shared with others. It is loaded twice: first
//! cold, then beside the content of the first time, which answers meanwhile.
//! With `chains` as the second argument the same blocks come in the order of
//! their prompts instead of the order in which a store sends them.

#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use indexer_store::{
    EmbeddedOptions, EmbeddedStore, IndexWatch, IndexWriter, WatchError, WatchItem, WatchStream,
};
use parking_lot::Mutex;
use proto_model::{
    Batch, BlockKey, Change, Command, Delta, Endpoint, EngineHash, EventsCommand, Extras, Holder,
    KeySpace, LocalHash, Medium, Message, Profile, Publisher, Rank, Revision, Source, StoredBlock,
    Timestamp,
};
use scorer_index::{IndexLimits, Scratch};
use scorer_server::{FollowSettings, Replica};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const PUBLISHERS: u64 = 100;
const BLOCKS: u64 = 128;
const SHARED: u64 = BLOCKS / 4;
const SYSTEMS: u64 = 32;

struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands every call to the system's allocator and adds up sizes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: as the caller promised us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised us.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

fn space() -> KeySpace {
    KeySpace {
        profile: Profile::Engine,
        model: "m".to_owned(),
        lora: None,
        block_size: 16,
        extras: Extras::Published,
    }
}

fn hashes(conversation: u64) -> impl Iterator<Item = u64> {
    let system = mix(mix(conversation) % SYSTEMS + 1);
    (0..BLOCKS).map(move |at| match at < SHARED {
        true => mix(system ^ at << 20),
        false => mix(mix(conversation + (1 << 40)) ^ at << 20),
    })
}

/// One conversation, stored by its engine.
fn batch(conversation: u64) -> Batch {
    let engine = conversation % PUBLISHERS;
    let block = |hash| StoredBlock {
        hash: EngineHash(hash),
        local: LocalHash(hash),
    };
    let change = Change::Stored {
        space: 0,
        medium: Medium::Gpu,
        group: 0,
        parent: None,
        blocks: hashes(conversation).map(block).collect(),
    };
    let address = format!("10.0.0.{engine}:8000");
    let command = Command::Events(EventsCommand {
        publisher: Publisher {
            endpoint: Endpoint::new("bench", &address).expect("valid"),
            rank: Rank(0),
        },
        model: "m".to_owned(),
        spaces: vec![space()],
        messages: vec![Message {
            sequence: conversation / PUBLISHERS,
            timestamp: Timestamp(conversation + 1),
            stream: None,
            changes: vec![change],
        }],
    });
    Batch {
        commands: vec![command],
    }
}

/// Gives its snapshot at every cut, made ahead, so that only taking it over is
/// measured.
struct Prepared {
    items: Vec<WatchItem>,
    cut: Arc<Notify>,
    began: Mutex<Option<Instant>>,
}

impl IndexWatch for Prepared {
    fn watch(&self, _: Option<Revision>) -> WatchStream {
        *self.began.lock() = Some(Instant::now());
        let cut = Arc::clone(&self.cut);
        let lost = async move {
            cut.notified().await;
            let reason = "cut".to_owned();
            Err(WatchError::Unavailable { reason })
        };
        let items: Vec<_> = self.items.iter().cloned().map(Ok).collect();
        stream::iter(items).chain(stream::once(lost)).boxed()
    }
}

async fn prepare(memberships: u64) -> Vec<WatchItem> {
    let store = EmbeddedStore::in_memory(EmbeddedOptions::default());
    // Shared blocks are stored once per engine.
    for conversation in 0..memberships / (BLOCKS - SHARED) {
        store.append(&batch(conversation)).await.expect("taken");
    }
    let mut watch = store.watch(None);
    let mut items = Vec::new();
    let begin = Instant::now();
    while let Some(item) = watch.next().await {
        items.push(item.expect("goes on"));
        if let Some(WatchItem::SnapshotEnd(_)) = items.last() {
            break;
        }
    }
    println!(
        "the store makes the snapshot in {:.2} s",
        begin.elapsed().as_secs_f64()
    );
    items
}

/// The same blocks, every prompt's in a row.
fn chains(memberships: u64) -> Vec<WatchItem> {
    let mut items = vec![WatchItem::SnapshotBegin];
    for engine in 0..PUBLISHERS {
        let holder = Holder(u32::try_from(engine).expect("few"));
        let address = format!("10.0.0.{engine}:8000");
        let publisher = Publisher {
            endpoint: Endpoint::new("bench", &address).expect("valid"),
            rank: Rank(0),
        };
        let began = Delta::HolderBegan {
            holder,
            publisher,
            source: Source::Confirmed,
        };
        items.push(WatchItem::Snapshot(vec![began].into()));
        let conversations = (engine..memberships / (BLOCKS - SHARED)).step_by(PUBLISHERS as usize);
        let keys: Vec<_> = conversations.flat_map(keys).collect();
        items.extend(keys.chunks(4096).map(|keys| {
            let stored = Delta::Stored {
                holder,
                medium: Medium::Gpu,
                keys: keys.to_vec(),
            };
            WatchItem::Snapshot(vec![stored].into())
        }));
    }
    items.push(WatchItem::SnapshotEnd(Revision(1)));
    items
}

fn keys(conversation: u64) -> impl Iterator<Item = BlockKey> {
    let scope = space().scope();
    hashes(conversation).map(move |hash| scope.engine_key(EngineHash(hash)))
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Looks prompts up until told to stop; the times in microseconds, ascending.
fn ask(replica: &Replica, prompts: &[Vec<BlockKey>], stop: &CancellationToken) -> Vec<u128> {
    let (mut scratch, mut times) = (Scratch::new(), Vec::new());
    for prompt in prompts.iter().cycle() {
        if stop.is_cancelled() {
            break;
        }
        let begin = Instant::now();
        let found = replica
            .content()
            .index()
            .lookup(prompt, &mut scratch, None)
            .len();
        times.push(begin.elapsed().as_nanos() / 1000);
        assert!(found > 0, "what is held is found");
        std::thread::sleep(Duration::from_micros(500));
    }
    times.sort_unstable();
    times
}

#[tokio::main(worker_threads = 1)]
async fn main() {
    let memberships = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let memberships = memberships.unwrap_or(5_000_000);
    let items = match std::env::args().nth(2).as_deref() {
        Some("chains") => chains(memberships),
        _ => prepare(memberships).await,
    };
    let sent = items.iter().map(|item| match item {
        WatchItem::Snapshot(deltas) => deltas.iter().map(keys_of).sum(),
        _ => 0,
    });
    println!("{} pieces, {} keys", items.len(), sent.sum::<usize>());
    let cut = Arc::new(Notify::new());
    let prepared = Arc::new(Prepared {
        items,
        cut: Arc::clone(&cut),
        began: Mutex::default(),
    });
    let before = ALLOCATED.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let replica = Replica::new(IndexLimits::default(), FollowSettings::default());
    let watch = Arc::clone(&prepared) as Arc<dyn IndexWatch>;
    tokio::spawn(Arc::clone(&replica).follow(watch, CancellationToken::new()));
    replica.reached(Revision(0)).await;
    report("cold", &replica, &prepared, before);

    let done = CancellationToken::new();
    let asking = {
        let (replica, done) = (Arc::clone(&replica), done.clone());
        let prompts: Vec<Vec<_>> = (0..1000).map(|c| keys(c).collect()).collect();
        std::thread::spawn(move || ask(&replica, &prompts, &done))
    };
    PEAK.store(ALLOCATED.load(Ordering::Relaxed), Ordering::Relaxed);
    cut.notify_one();
    while replica.resets() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    report("again, beside the old content", &replica, &prepared, before);
    done.cancel();
    let times = asking.join().expect("asked");
    let at = |q: f64| times[((times.len() - 1) as f64 * q) as usize];
    println!(
        "{} lookups meanwhile: p50 {} us, p99 {} us, max {} us",
        times.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn keys_of(delta: &Delta) -> usize {
    match delta {
        Delta::Stored { keys, .. } => keys.len(),
        _ => 0,
    }
}

fn report(what: &str, replica: &Replica, prepared: &Prepared, before: usize) {
    let took = prepared.began.lock().expect("it began").elapsed();
    let stats = replica.content().index().stats();
    println!(
        "{what}: {} memberships of {} blocks in {:.2} s; index {:.0} MiB, peak {:.0} MiB",
        stats.memberships,
        stats.blocks,
        took.as_secs_f64(),
        mib(stats.bytes),
        mib(PEAK.load(Ordering::Relaxed) - before),
    );
}
