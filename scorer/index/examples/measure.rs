//! Measures the index: lookup times, apply rates, bytes per membership.
//!
//! `cargo run --release -p scorer-index --example measure`

#![expect(clippy::print_stdout, reason = "the figures are the output")]
#![expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use proto_model::{BlockKey, Delta, Endpoint, Holder, Medium, Publisher, Rank, Source};
use scorer_index::{HolderFilter, IndexLimits, PrefixIndex, Scratch};

struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands every call to the system's allocator and adds up sizes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
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

/// A workload: conversations that share system prompts, over many endpoints.
#[derive(Debug, Clone, Copy)]
struct Workload {
    endpoints: u32,
    /// Blocks per prompt, of which the first quarter is a shared system prompt.
    blocks: u64,
    /// Conversations; each lives on one endpoint, every fourth on two.
    conversations: u64,
}

/// Different system prompts.
const SYSTEMS: u64 = 32;

impl Workload {
    fn prompt(&self, conversation: u64) -> Vec<BlockKey> {
        let shared = self.blocks / 4;
        let system = mix(conversation) % SYSTEMS;
        let seed = |at| {
            if at < shared {
                mix(system + 1)
            } else {
                mix(conversation + (1 << 40))
            }
        };
        (0..self.blocks)
            .map(|at| BlockKey(mix(seed(at) ^ at << 20)))
            .collect()
    }

    fn homes(&self, conversation: u64) -> impl Iterator<Item = Holder> + use<> {
        let copies = if conversation.is_multiple_of(4) { 2 } else { 1 };
        let endpoints = u64::from(self.endpoints);
        (0..copies).map(move |copy| Holder((mix(conversation * 3 + copy) % endpoints) as u32))
    }

    fn deltas(&self) -> Vec<Delta> {
        let stored = |conversation| {
            self.homes(conversation).map(move |holder| Delta::Stored {
                holder,
                medium: Medium::Gpu,
                keys: self.prompt(conversation),
            })
        };
        (0..self.conversations).flat_map(stored).collect()
    }
}

fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

fn began(number: u32) -> Delta {
    let endpoint = Endpoint::new("bench", &format!("10.0.0.1:{number}")).expect("valid");
    Delta::HolderBegan {
        holder: Holder(number),
        publisher: Publisher {
            endpoint,
            rank: Rank(0),
        },
        source: Source::Confirmed,
    }
}

/// Takes `keys` and gives nanoseconds at the given quantiles.
fn time_lookups(
    index: &PrefixIndex,
    prompts: &[Vec<BlockKey>],
    filter: Option<&HolderFilter>,
) -> [u128; 3] {
    let mut scratch = Scratch::new();
    let mut times = Vec::with_capacity(200_000);
    let rounds = (40_000_000 / prompts[0].len() / prompts.len()).clamp(1, 20);
    let mut found = 0;
    for _ in 0..rounds {
        for prompt in prompts {
            let begin = Instant::now();
            found += index.lookup(prompt, &mut scratch, filter).len();
            times.push(begin.elapsed().as_nanos());
        }
    }
    assert!(found > 0, "lookups find something");
    times.sort_unstable();
    [0.5, 0.9, 0.99].map(|q| times[(times.len() as f64 * q) as usize])
}

fn keys_of(deltas: &[Delta]) -> usize {
    let count = |delta: &Delta| match delta {
        Delta::Stored { keys, .. } | Delta::Removed { keys, .. } => keys.len(),
        _ => 0,
    };
    deltas.iter().map(count).sum()
}

fn rate(index: &PrefixIndex, deltas: &[Delta]) -> f64 {
    let begin = Instant::now();
    index.apply_all(deltas);
    keys_of(deltas) as f64 / begin.elapsed().as_secs_f64() / 1e6
}

fn measure(workload: Workload) {
    let deltas = workload.deltas();
    let before = ALLOCATED.load(Ordering::Relaxed);
    let index = PrefixIndex::new(IndexLimits::default());
    (0..workload.endpoints).for_each(|number| index.apply(&began(number)));
    let stored = rate(&index, &deltas);
    let bytes = ALLOCATED.load(Ordering::Relaxed) - before;
    let stats = index.stats();
    let prompts: Vec<_> = (0..workload.conversations)
        .step_by(7)
        .map(|c| workload.prompt(c))
        .collect();
    let sample = &prompts[..prompts.len().min(20_000)];
    let [p50, p90, p99] = time_lookups(&index, sample, None);
    let all: HolderFilter = (0..workload.endpoints).map(Holder).collect();
    let [filtered, ..] = time_lookups(&index, sample, Some(&all));
    let again = rate(&index, &deltas);
    let removed: Vec<Delta> = deltas.into_iter().step_by(2).map(reversed).collect();
    let removal = rate(&index, &removed);
    println!(
        "{:5} endpoints {:5} blocks: lookup ns p50 {p50:6} p90 {p90:6} p99 {p99:6}, candidates p50 \
         {filtered:6}; stored {stored:5.1} M/s, again {again:5.1} M/s, removed {removal:5.1} M/s; \
         {:9} blocks {:9} memberships {:6} sets, {:5.1} B/block, {:5.1} B/membership, reported {:.3}",
        workload.endpoints,
        workload.blocks,
        stats.blocks,
        stats.memberships,
        stats.holder_sets,
        bytes as f64 / stats.blocks as f64,
        bytes as f64 / stats.memberships as f64,
        stats.bytes as f64 / bytes as f64,
    );
}

/// As an engine evicts: the last block first.
fn reversed(stored: Delta) -> Delta {
    match stored {
        Delta::Stored {
            holder,
            medium,
            mut keys,
        } => {
            keys.reverse();
            Delta::Removed {
                holder,
                medium,
                keys,
            }
        }
        other => other,
    }
}

fn main() {
    println!("clock itself: {} ns", {
        let begin = Instant::now();
        for _ in 0..1000 {
            std::hint::black_box(Instant::now());
        }
        begin.elapsed().as_nanos() / 1000
    });
    let total = 8_000_000;
    for blocks in [112, 2000] {
        for endpoints in [8, 64, 1000, 4000] {
            measure(Workload {
                endpoints,
                blocks,
                conversations: total / blocks,
            });
        }
    }
    measure(Workload {
        endpoints: 64,
        blocks: 112,
        conversations: 2_000,
    });
}
