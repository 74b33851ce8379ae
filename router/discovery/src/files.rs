//! Manifests in files, read again when they change.

mod load;
mod read;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::departures::{Book, Departure, Departures, departures};
use crate::manifest::{Mistakes, Resolved};
use crate::source::{Discovery, Publisher, Trouble};
use crate::view::{PoolEndpoint, PoolView};
use load::load;
use read::{Seen, read_all};

/// How often files may change while it is waited for them to settle.
const SETTLE_ROUNDS: usize = 50;
/// Departures that are told per look at the files.
const TOLD_AT_ONCE: usize = 1_024;

/// Where the manifests are, and which pool of theirs is meant.
#[derive(Debug, Clone)]
pub struct FileSettings {
    /// Files, and folders whose `*.yaml`, `*.yml` and `*.json` files are read.
    pub paths: Vec<PathBuf>,
    /// The InferencePool; `None`: the only one there is.
    pub pool_name: Option<String>,
    /// Its namespace, which is also that of manifests that name none; `None`:
    /// `default` for those, and a pool of any namespace.
    pub pool_namespace: Option<String>,
    /// Endpoints beside those that the files name.
    pub endpoints: Vec<PoolEndpoint>,
    /// How often the files are read.
    pub poll: Duration,
    /// A change is taken when the files have been the same for this long, so
    /// that a file is not taken half written.
    pub settle: Duration,
    /// How long an endpoint must have been gone until it counts as departed.
    pub departure_grace: Duration,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            pool_name: None,
            pool_namespace: None,
            endpoints: Vec::new(),
            poll: Duration::from_secs(1),
            settle: Duration::from_millis(100),
            departure_grace: Duration::from_secs(30),
        }
    }
}

/// Reads the manifests, and follows their changes from then on: a good change
/// replaces the view at once, a broken one leaves it and is told in
/// [`SourceStatus::last_error`](crate::SourceStatus).
///
/// # Errors
/// Every mistake of every file, if they are broken from the start.
pub async fn follow_files(settings: FileSettings) -> Result<(Discovery, Departures), Mistakes> {
    let settings = Arc::new(settings);
    let (seen, loaded) = read_and_load(&settings).await;
    let resolved = loaded?;
    tracing::info!(
        pool = %resolved.pool,
        endpoints = resolved.endpoints.len(),
        "manifests read"
    );
    let publisher = Publisher::new(view_of(&resolved));
    let discovery = publisher.discovery();
    let (queue, departures) = departures();
    let mut follower = Follower {
        book: Book::new(settings.departure_grace),
        settings,
        seen,
        resolved: Some(resolved),
        publisher,
        queue,
    };
    follower.observe(Instant::now());
    let task = AbortOnDropHandle::new(tokio::spawn(follower.run()));
    Ok((discovery.owning(task), departures))
}

struct Follower {
    settings: Arc<FileSettings>,
    /// What the files held when they were last taken or refused.
    seen: Seen,
    /// As the files stand now; `None` while they are broken.
    resolved: Option<Resolved>,
    publisher: Publisher,
    book: Book,
    queue: mpsc::Sender<Departure>,
}

impl Follower {
    async fn run(mut self) {
        let mut ticks = interval(self.settings.poll.max(Duration::from_millis(10)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.poll().await;
            self.tell_departures();
        }
    }

    async fn poll(&mut self) {
        let mut seen = read(&self.settings).await;
        if seen == self.seen {
            return;
        }
        // Files that never settle are taken as they are in the end.
        for _ in 0..SETTLE_ROUNDS {
            sleep(self.settings.settle).await;
            let again = read(&self.settings).await;
            if again == seen {
                break;
            }
            seen = again;
        }
        // It may have been changed back meanwhile.
        if seen == self.seen {
            return;
        }
        let settings = Arc::clone(&self.settings);
        let (seen, loaded) = blocking(move || {
            let loaded = load(&settings, &seen);
            (seen, loaded)
        })
        .await;
        self.seen = seen;
        match loaded {
            Ok(resolved) => self.take(resolved),
            Err(mistakes) => self.refuse(mistakes),
        }
    }

    fn take(&mut self, resolved: Resolved) {
        tracing::info!(pool = %resolved.pool, "manifests changed and are taken");
        self.publisher.view(view_of(&resolved));
        self.publisher.status(|status| {
            status.last_error = None;
            status.stale = None;
        });
        self.resolved = Some(resolved);
    }

    fn refuse(&mut self, mistakes: Mistakes) {
        for mistake in mistakes.told() {
            tracing::warn!(%mistake, "manifests changed and are not taken; the last good ones stay");
        }
        self.resolved = None;
        self.publisher.status(|status| {
            status.refused = status.refused.saturating_add(1);
            status.stale.get_or_insert_with(|| Trouble {
                what: "files".to_owned(),
                reason: "the manifests have mistakes".to_owned(),
                since: Instant::now(),
            });
            status.last_error = Some(Arc::new(mistakes));
        });
    }

    /// Notes which endpoints are there, if that is known.
    fn observe(&mut self, now: Instant) {
        let Some(resolved) = &self.resolved else {
            self.book.hold(now);
            return;
        };
        let there = resolved.endpoints.iter().chain(&resolved.unready);
        let there = there.map(|endpoint| (endpoint.address, endpoint.name.as_str()));
        self.book.observe(now, there);
    }

    fn tell_departures(&mut self) {
        let now = Instant::now();
        self.observe(now);
        for gone in self.book.due(now, TOLD_AT_ONCE) {
            tracing::info!(endpoint = %gone.address, name = gone.name, "endpoint gone for good");
            if !self.book.tell(&self.queue, gone) {
                return;
            }
        }
    }
}

async fn read(settings: &Arc<FileSettings>) -> Seen {
    let settings = Arc::clone(settings);
    blocking(move || read_all(&settings.paths)).await
}

async fn read_and_load(settings: &Arc<FileSettings>) -> (Seen, Result<Resolved, Mistakes>) {
    let settings = Arc::clone(settings);
    blocking(move || {
        let seen = read_all(&settings.paths);
        let loaded = load(&settings, &seen);
        (seen, loaded)
    })
    .await
}

/// File systems block, and large manifests take their time.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn view_of(resolved: &Resolved) -> PoolView {
    PoolView {
        pool: resolved.pool.to_string(),
        synced: true,
        endpoints: resolved.endpoints.clone(),
        strategy: resolved.rules.strategy.clone(),
        models: resolved.rules.models.clone(),
        objectives: resolved.rules.objectives.clone(),
    }
}
