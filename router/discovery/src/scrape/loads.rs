//! The last sample of every endpoint, read without waiting.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use router_picker::Load;

use super::LoadMistake;
use super::mistake::KINDS;
use super::text::Reading;

/// How busy every endpoint of the pool is. Readers never wait.
#[derive(Debug)]
pub struct Loads {
    slots: ArcSwap<HashMap<SocketAddr, Arc<Slot>>>,
    stale_after: Duration,
    answered: AtomicU64,
    failed: [AtomicU64; KINDS.len()],
}

/// What one engine said last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EngineLoad {
    /// Requests that wait, of all ranks together.
    pub waiting: u32,
    /// Requests in the batch, of all ranks together.
    pub running: u32,
    /// Share of the KV cache that running requests use, 0 to 1: the ranks' mean.
    pub kv_usage: f64,
    /// Tokens per block; `None` if not said, or different from rank to rank.
    pub block_size: Option<u32>,
    /// Blocks of the KV cache, of all ranks together; `None` if not said.
    pub num_blocks: Option<u64>,
    /// When the engine was asked. A request sent later may not be in the
    /// sample; none sent earlier is missing for having been sent too late.
    pub sampled_at: Instant,
    /// Scrapes that have failed in a row since.
    pub failures: u32,
}

impl EngineLoad {
    /// As the picker takes it.
    pub fn load(&self) -> Load {
        Load {
            waiting: self.waiting,
            running: self.running,
            kv_usage: self.kv_usage,
        }
    }
}

/// How the scrapes go, in plain numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadCounters {
    /// Scrapes that gave a load, since the start.
    pub answered: u64,
    /// Scrapes that did not, since the start, by [`LoadMistake::kind`].
    pub failed: [(&'static str, u64); KINDS.len()],
    /// Endpoints of the pool.
    pub endpoints: usize,
    /// Of those, endpoints whose load is known.
    pub fresh: usize,
    /// Of those, endpoints whose last sample is too old.
    pub stale: usize,
    /// Of those, endpoints that have never given a load.
    pub silent: usize,
}

/// What is kept of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Slot {
    sample: ArcSwapOption<(Reading, Instant)>,
    failures: AtomicU32,
}

impl Slot {
    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    /// When the last sample was taken.
    pub(super) fn sampled_at(&self) -> Option<Instant> {
        self.sample.load().as_ref().map(|sample| sample.1)
    }
}

impl Loads {
    pub(super) fn new(stale_after: Duration) -> Self {
        Self {
            slots: ArcSwap::default(),
            stale_after,
            answered: AtomicU64::new(0),
            failed: Default::default(),
        }
    }

    /// The load of an endpoint; `None` if it is not in the pool, has never told
    /// its load, or told it too long ago.
    pub fn get(&self, address: &SocketAddr) -> Option<EngineLoad> {
        self.get_at(address, Instant::now())
    }

    /// The same at a given time: for many endpoints the clock is read once.
    pub fn get_at(&self, address: &SocketAddr, now: Instant) -> Option<EngineLoad> {
        let slots = self.slots.load();
        let slot = slots.get(address)?;
        let sample = slot.sample.load();
        let (reading, sampled_at) = **sample.as_ref()?;
        self.is_fresh(sampled_at, now).then(|| EngineLoad {
            waiting: reading.waiting,
            running: reading.running,
            kv_usage: reading.kv_usage,
            block_size: reading.block_size,
            num_blocks: reading.num_blocks,
            sampled_at,
            failures: slot.failures(),
        })
    }

    /// Scrapes of an endpoint that have failed in a row, also where its load is
    /// no longer known; 0 if it is not in the pool.
    pub fn failures(&self, address: &SocketAddr) -> u32 {
        self.slots.load().get(address).map_or(0, |s| s.failures())
    }

    /// How the scrapes go.
    pub fn counters(&self) -> LoadCounters {
        let now = Instant::now();
        let slots = self.slots.load();
        let (mut fresh, mut stale) = (0, 0);
        for sampled_at in slots.values().filter_map(|slot| slot.sampled_at()) {
            if self.is_fresh(sampled_at, now) {
                fresh += 1;
            } else {
                stale += 1;
            }
        }
        LoadCounters {
            answered: self.answered.load(Ordering::Relaxed),
            failed: std::array::from_fn(|at| (KINDS[at], self.failed[at].load(Ordering::Relaxed))),
            endpoints: slots.len(),
            fresh,
            stale,
            silent: slots.len() - fresh - stale,
        }
    }

    pub(super) fn is_fresh(&self, sampled_at: Instant, now: Instant) -> bool {
        now.saturating_duration_since(sampled_at) <= self.stale_after
    }

    /// The endpoints are now these; who stays keeps its sample.
    pub(super) fn keep(&self, addresses: impl Iterator<Item = SocketAddr>) {
        let held = self.slots.load();
        let slots = addresses
            .map(|address| (address, held.get(&address).cloned().unwrap_or_default()))
            .collect();
        self.slots.store(Arc::new(slots));
    }

    pub(super) fn slot(&self, address: &SocketAddr) -> Option<Arc<Slot>> {
        self.slots.load().get(address).cloned()
    }

    pub(super) fn record(&self, slot: &Slot, at: Instant, outcome: &Result<Reading, LoadMistake>) {
        match outcome {
            Ok(reading) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                slot.sample.store(Some(Arc::new((*reading, at))));
                slot.failures.store(0, Ordering::Relaxed);
            }
            Err(mistake) => {
                self.failed[mistake.number()].fetch_add(1, Ordering::Relaxed);
                let failures = slot.failures().saturating_add(1);
                slot.failures.store(failures, Ordering::Relaxed);
            }
        }
    }
}
