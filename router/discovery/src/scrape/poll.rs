//! One poll per endpoint of the pool, for as long as the endpoint is in it.

use std::collections::HashMap;
use std::error::Error;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::fetch::Fetcher;
use super::loads::{Loads, Slot};
use super::text::Reading;
use super::{LoadMistake, ScrapeMistake, ScrapeSettings};
use crate::{PoolEndpoint, PoolView};

/// So many failures in a row are told; fewer are only counted.
const TOLD_AFTER: u32 = 3;
/// Endpoints that fail are asked at least this often.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Follows a pool and keeps the loads of its endpoints.
pub struct Scraper {
    pool: watch::Receiver<Arc<PoolView>>,
    shared: Arc<Shared>,
}

struct Shared {
    settings: ScrapeSettings,
    fetcher: Fetcher,
    loads: Arc<Loads>,
    /// Places for endpoints that answered the last time, or were never asked.
    answering: Semaphore,
    /// Places for the others, which may take the whole timeout each.
    failing: Semaphore,
}

impl Scraper {
    /// Asks nobody yet: [`run`](Self::run) does. Must be called within a tokio
    /// runtime.
    pub fn new(
        settings: ScrapeSettings,
        pool: watch::Receiver<Arc<PoolView>>,
    ) -> Result<Self, ScrapeMistake> {
        settings.validate()?;
        let shared = Arc::new(Shared {
            settings,
            fetcher: Fetcher::new(&settings),
            loads: Arc::new(Loads::new(settings.stale_after)),
            answering: Semaphore::new(settings.concurrency.min(Semaphore::MAX_PERMITS)),
            failing: Semaphore::new(settings.concurrency.min(Semaphore::MAX_PERMITS)),
        });
        Ok(Self { pool, shared })
    }

    /// Where the loads can be read.
    pub fn loads(&self) -> Arc<Loads> {
        Arc::clone(&self.shared.loads)
    }

    /// Keeps asking until `stop`. Goes on with the last view when nobody keeps
    /// the pool up to date any more.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut polls = HashMap::new();
        let follow = async {
            loop {
                let view = Arc::clone(&self.pool.borrow_and_update());
                follow(&self.shared, &view, &mut polls);
                if self.pool.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        // The polls end with their handles.
        stop.run_until_cancelled(follow).await;
    }
}

/// Starts the polls that are missing, and ends those of endpoints that left.
fn follow(
    shared: &Arc<Shared>,
    view: &PoolView,
    polls: &mut HashMap<SocketAddr, AbortOnDropHandle<()>>,
) {
    let endpoints: HashMap<SocketAddr, &Arc<PoolEndpoint>> = view
        .endpoints
        .iter()
        .map(|endpoint| (endpoint.address, endpoint))
        .collect();
    polls.retain(|address, _| endpoints.contains_key(address));
    shared.loads.keep(endpoints.keys().copied());
    for (address, endpoint) in endpoints {
        let Some(slot) = shared.loads.slot(&address) else {
            continue;
        };
        polls.entry(address).or_insert_with(|| {
            let poll = Poll {
                name: endpoint.name.clone(),
                address,
                shared: Arc::clone(shared),
                slot,
                told: Told::default(),
            };
            AbortOnDropHandle::new(tokio::spawn(poll.run()))
        });
    }
}

/// Asks one endpoint, again and again.
struct Poll {
    name: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    told: Told,
}

/// What the log has said of an endpoint.
#[derive(Default)]
struct Told {
    failing: Option<&'static str>,
    stale: bool,
}

impl Poll {
    async fn run(mut self) {
        loop {
            let places = if self.slot.failures() == 0 {
                &self.shared.answering
            } else {
                &self.shared.failing
            };
            let Ok(place) = places.acquire().await else {
                return;
            };
            let asked_at = Instant::now();
            let outcome = self.shared.fetcher.fetch(self.address).await;
            drop(place);
            self.shared.loads.record(&self.slot, asked_at, &outcome);
            self.tell(&outcome);
            let interval = self.shared.settings.interval;
            tokio::time::sleep(pause(interval, self.slot.failures())).await;
        }
    }

    /// Once per change: an engine that is away must not fill the log.
    fn tell(&mut self, outcome: &Result<Reading, LoadMistake>) {
        let (name, address, failures) = (&self.name, self.address, self.slot.failures());
        let Err(mistake) = outcome else {
            if self.told.failing.take().is_some() {
                tracing::info!(endpoint = name, %address, "The engine's load is known again");
            }
            self.told.stale = false;
            return;
        };
        if failures >= TOLD_AFTER && self.told.failing != Some(mistake.kind()) {
            self.told.failing = Some(mistake.kind());
            let error = in_full(mistake);
            tracing::warn!(endpoint = name, %address, failures, error, "The engine's metrics cannot be read");
        }
        let now = Instant::now();
        let stale = |at| !self.shared.loads.is_fresh(at, now);
        if !self.told.stale && self.slot.sampled_at().is_some_and(stale) {
            self.told.stale = true;
            tracing::warn!(endpoint = name, %address, failures, "The engine's last load is too old: it is picked without one");
        }
    }
}

/// The interval, doubled for every failure up to a limit, give or take a fifth.
fn pause(interval: Duration, failures: u32) -> Duration {
    let longest = LONGEST_PAUSE.max(interval);
    let pause = interval.saturating_mul(1 << failures.min(16)).min(longest);
    // A new state is keyed anew each time: enough to keep pickers out of step.
    let drawn = RandomState::new().build_hasher().finish() as u32;
    pause.mul_f64(0.8 + 0.4 * f64::from(drawn) / f64::from(u32::MAX))
}

/// An error with its causes.
fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod pauses {
    use super::*;

    #[test]
    fn pauses_grow_with_failures_and_have_an_end() {
        let interval = Duration::from_millis(200);
        for _ in 0..1_000 {
            let usual = pause(interval, 0);
            assert!((160..=240).contains(&usual.as_millis()), "{usual:?}");
            for failures in [5, 40, u32::MAX] {
                let longest = pause(interval, failures);
                assert!(
                    (1_600..=2_400).contains(&longest.as_millis()),
                    "{longest:?}"
                );
            }
        }
        let slow = Duration::from_secs(10);
        assert!(pause(slow, 9) >= slow.mul_f64(0.8));
    }
}
