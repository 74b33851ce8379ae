//! Manifests in files, read again when they change.

mod load;
mod missing;
mod read;
mod settle;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::departures::{Book, Departure, Departures, departures};
use crate::manifest::{Mistake, Mistakes, Origin, Resolved};
use crate::source::{Discovery, Publisher, Trouble};
use crate::view::{PoolEndpoint, PoolView};
use load::{Loaded, load};
use missing::{Gone, Missing};
use read::{Held, Seen, read_all, same_contents};
use settle::{Look, Settling};

/// Between two readings, whatever the settings say.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
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
    /// A change is taken when nothing has been written for this long, so that a
    /// file is not taken half written.
    pub settle: Duration,
    /// Files that are written again and again for this long are told as a
    /// mistake; what was good last stays.
    pub patience: Duration,
    /// How long an endpoint must have been gone until it counts as departed, and
    /// how long what a missing file held stays.
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
            patience: Duration::from_secs(10),
            departure_grace: Duration::from_secs(30),
        }
    }
}

/// Reads the manifests, and follows their changes from then on: a good change
/// replaces the view at once, a broken one leaves it and is told in
/// [`SourceStatus::last_error`](crate::SourceStatus).
///
/// # Errors
/// Every mistake of every file, if they are broken from the start, or if they
/// never hold still.
pub async fn follow_files(settings: FileSettings) -> Result<(Discovery, Departures), Mistakes> {
    let settings = Arc::new(settings);
    let seen = read_settled(&settings).await?;
    let files = seen.clone().map_err(Mistakes::some)?;
    let Loaded {
        resolved, files, ..
    } = judge(&settings, files, Gone::default(), Vec::new()).await?;
    tracing::info!(
        pool = %resolved.pool,
        endpoints = resolved.endpoints.len(),
        "manifests read"
    );
    let publisher = Publisher::new(view_of(&resolved));
    publisher.status(|status| status.troubles = troubles(&resolved, 0));
    let discovery = publisher.discovery();
    let (queue, departures) = departures();
    let mut follower = Follower {
        book: Book::new(settings.departure_grace),
        settling: Settling::new(settings.patience),
        missing: Missing::new(settings.departure_grace),
        settings,
        seen: Some(seen),
        taken: files,
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
    settling: Settling,
    missing: Missing,
    /// What the files held when they were last taken or refused; `None` where
    /// they never held still since.
    seen: Option<Seen>,
    /// What was last taken.
    taken: Vec<Held>,
    /// As the files stand now; `None` while they are broken.
    resolved: Option<Resolved>,
    publisher: Publisher,
    book: Book,
    queue: mpsc::Sender<Departure>,
}

impl Follower {
    async fn run(mut self) {
        loop {
            sleep(self.pause()).await;
            self.poll().await;
            self.tell_departures();
        }
    }

    fn pause(&self) -> Duration {
        let pause = if self.settling.is_calm() {
            self.settings.poll
        } else {
            self.settings.settle
        };
        pause.max(SHORTEST_PAUSE)
    }

    async fn poll(&mut self) {
        let reading = read(&self.settings).await;
        let now = Instant::now();
        let known = self.seen.as_ref();
        let known = known.is_some_and(|seen| same_contents(seen, &reading));
        if !(known && self.settling.is_calm()) {
            match self.settling.look(now, &reading) {
                Look::Still => {}
                Look::Moving => return,
                Look::Restless => {
                    self.seen = None;
                    self.refuse(restless(&self.settings));
                    return;
                }
            }
        }
        if !known || self.missing.is_due(now) {
            self.decide(now, reading).await;
        }
    }

    /// Takes or refuses what holds still.
    async fn decide(&mut self, now: Instant, reading: Seen) {
        self.seen = Some(reading.clone());
        let there = match reading {
            Ok(there) => there,
            Err(unread) => return self.refuse(Mistakes::some(unread)),
        };
        let gone = self.missing.look(now, &self.taken, &there);
        for path in &gone.given_up {
            tracing::warn!(path = %path.display(), "a manifest is missing for good; what it held is given up");
        }
        let taken = self.taken.clone();
        match judge(&self.settings, there, gone, taken).await {
            Ok(loaded) => self.take(loaded),
            Err(mistakes) => self.refuse(mistakes),
        }
    }

    fn take(&mut self, loaded: Loaded) {
        let Loaded {
            resolved,
            files,
            kept,
        } = loaded;
        tracing::info!(pool = %resolved.pool, "manifests changed and are taken");
        if kept > 0 {
            tracing::warn!(
                files = kept,
                grace = ?self.settings.departure_grace,
                "manifests are missing; what they held stays for the grace period"
            );
        }
        self.publisher.view(view_of(&resolved));
        self.publisher.status(|status| {
            status.last_error = None;
            status.stale = None;
            status.troubles = troubles(&resolved, kept);
        });
        self.taken = files;
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
                reason: "the manifests have mistakes, or are being written".to_owned(),
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

/// What the files hold once they hold still.
async fn read_settled(settings: &Arc<FileSettings>) -> Result<Seen, Mistakes> {
    let mut settling = Settling::new(settings.patience);
    loop {
        let reading = read(settings).await;
        match settling.look(Instant::now(), &reading) {
            Look::Still => return Ok(reading),
            Look::Moving => sleep(settings.settle.max(SHORTEST_PAUSE)).await,
            Look::Restless => return Err(restless(settings)),
        }
    }
}

async fn judge(
    settings: &Arc<FileSettings>,
    there: Vec<Held>,
    gone: Gone,
    taken: Vec<Held>,
) -> Result<Loaded, Mistakes> {
    let settings = Arc::clone(settings);
    blocking(move || load(&settings, there, &gone, &taken)).await
}

fn restless(settings: &FileSettings) -> Mistakes {
    let FileSettings {
        settle, patience, ..
    } = settings;
    Mistakes::one(Mistake {
        origin: Origin::Settings,
        path: "manifests".to_owned(),
        reason: format!(
            "written again and again for {patience:?}; taken once they hold still for {settle:?}"
        ),
    })
}

fn troubles(resolved: &Resolved, kept: usize) -> Vec<Trouble> {
    let trouble = |what: &str, reason| Trouble {
        what: what.to_owned(),
        reason,
        since: Instant::now(),
    };
    let lacking = resolved.lacking.clone();
    let missing = (kept > 0).then(|| {
        format!(
            "{kept} are missing, and what they held stays for a while; put them back to keep it"
        )
    });
    let lacking = lacking.map(|reason| trouble("endpoints", reason));
    let missing = missing.map(|reason| trouble("files", reason));
    lacking.into_iter().chain(missing).collect()
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
