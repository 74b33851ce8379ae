//! Follows one kind of objects: lists them, watches them, and says so.
//!
//! ```text
//!  list ──ok──▶ Listed ──▶ watch ──ok──▶ Connected ──▶ Applied, Deleted, ...
//!   ▲ 404: Absent            │  the watch ends: watch again from the last version
//!   └── 404, 410, error event ┘  an error: Lost, a pause, then watch again
//! ```
//!
//! kube's own watcher does the same and keeps to itself when a lost connection is
//! up again, which is what decides whether the endpoints are still to be trusted.

use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::Api;
use kube::api::{ListParams, WatchEvent, WatchParams};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::kinds::Kind;

/// Objects per page of a list.
const PAGE: u32 = 500;
/// Objects of one kind.
const MOST_OBJECTS: usize = 20_000;
/// A watch may end this much later than it was asked to.
const WATCH_MARGIN: Duration = Duration::from_secs(5);
/// A watch that ends sooner is followed by a pause.
const SHORT_WATCH: Duration = Duration::from_secs(1);
/// Characters of an API server's words that are kept.
const TOLD_CHARS: usize = 300;
/// The first pause is this part of the longest.
const FIRST_PAUSE: u32 = 50;

/// What happened to the objects of one kind.
#[derive(Debug)]
pub(super) enum Change<K> {
    /// These are all there are.
    Listed(Vec<K>),
    /// Added or modified.
    Applied(K),
    /// Gone, or no longer selected.
    Deleted(K),
    /// Changes come as they happen, from the last on.
    Connected,
    /// The API server does not know the kind.
    Absent,
    /// Not allowed.
    Forbidden(String),
    /// Cannot be read now.
    Lost(String),
}

impl<K> Change<K> {
    pub(super) fn map<T>(self, of: impl Fn(K) -> T) -> Change<T> {
        match self {
            Self::Listed(objects) => Change::Listed(objects.into_iter().map(of).collect()),
            Self::Applied(object) => Change::Applied(of(object)),
            Self::Deleted(object) => Change::Deleted(of(object)),
            Self::Connected => Change::Connected,
            Self::Absent => Change::Absent,
            Self::Forbidden(reason) => Change::Forbidden(reason),
            Self::Lost(reason) => Change::Lost(reason),
        }
    }
}

/// What to follow, and how patiently.
pub(super) struct Follow<K> {
    pub(super) api: Api<K>,
    pub(super) kind: Kind,
    pub(super) labels: Option<String>,
    pub(super) fields: Option<String>,
    pub(super) answer_timeout: Duration,
    pub(super) watch_timeout: Duration,
    pub(super) absent_retry: Duration,
    pub(super) longest_pause: Duration,
}

/// The reader is gone.
struct Closed;

/// Why a step went no further.
enum Fault {
    Absent,
    Gone,
    Forbidden(String),
    Other(String),
}

impl<K> Follow<K>
where
    K: Clone + Debug + DeserializeOwned + kube::Resource + Send + 'static,
{
    /// Follows until nobody reads the changes.
    pub(super) async fn run<M: Send + 'static>(
        self,
        outbox: mpsc::Sender<M>,
        wrap: impl Fn(Change<K>) -> M + Send + Sync,
    ) {
        let mut follower = Follower {
            pause: Pause::new(self.longest_pause),
            follow: self,
            outbox,
            wrap,
            version: None,
            unknown_since: None,
            known: false,
        };
        while follower.step().await.is_ok() {}
    }
}

struct Follower<K, M, W> {
    follow: Follow<K>,
    outbox: mpsc::Sender<M>,
    wrap: W,
    pause: Pause,
    /// Where the watch goes on; `None`: list first.
    version: Option<String>,
    /// Since when the kind is unknown.
    unknown_since: Option<Instant>,
    /// The kind has been listed.
    known: bool,
}

impl<K, M, W> Follower<K, M, W>
where
    K: Clone + Debug + DeserializeOwned + kube::Resource + Send + 'static,
    M: Send + 'static,
    W: Fn(Change<K>) -> M + Send + Sync,
{
    async fn tell(&self, change: Change<K>) -> Result<(), Closed> {
        let told = self.outbox.send((self.wrap)(change)).await;
        told.map_err(|_| Closed)
    }

    /// Lists, or watches until the watch ends.
    async fn step(&mut self) -> Result<(), Closed> {
        let Some(version) = self.version.take() else {
            match self.list().await {
                Ok((objects, version)) => {
                    self.known = true;
                    self.unknown_since = None;
                    self.version = Some(version);
                    return self.tell(Change::Listed(objects)).await;
                }
                Err(fault) => return self.faulted(fault).await,
            }
        };
        let begun = Instant::now();
        match self.watch(&version).await? {
            Ok(version) => {
                self.version = Some(version);
                if begun.elapsed() < SHORT_WATCH {
                    self.pause.wait().await;
                } else {
                    self.pause.reset();
                }
                Ok(())
            }
            Err((fault, version)) => {
                // What is too old or was unknown is listed anew.
                if !matches!(fault, Fault::Gone | Fault::Absent) {
                    self.version = version;
                }
                self.faulted(fault).await
            }
        }
    }

    async fn faulted(&mut self, fault: Fault) -> Result<(), Closed> {
        match fault {
            Fault::Gone => {
                tracing::debug!(kind = %self.follow.kind, "the watch is too old; listing anew");
            }
            Fault::Absent => {
                let since = *self.unknown_since.get_or_insert_with(Instant::now);
                // An API server that is just starting may not know it yet.
                if self.known && since.elapsed() < self.follow.absent_retry {
                    let reason = "the API server does not know this kind any more".to_owned();
                    self.tell(Change::Lost(reason)).await?;
                } else {
                    self.tell(Change::Absent).await?;
                    sleep(self.follow.absent_retry).await;
                    return Ok(());
                }
            }
            Fault::Forbidden(reason) => self.tell(Change::Forbidden(reason)).await?,
            Fault::Other(reason) => self.tell(Change::Lost(reason)).await?,
        }
        self.pause.wait().await;
        Ok(())
    }

    async fn list(&self) -> Result<(Vec<K>, String), Fault> {
        let mut objects = Vec::new();
        let mut page: Option<String> = None;
        loop {
            let params = ListParams {
                label_selector: self.follow.labels.clone(),
                field_selector: self.follow.fields.clone(),
                limit: Some(PAGE),
                continue_token: page,
                ..ListParams::default()
            };
            let list = within(self.follow.answer_timeout, self.follow.api.list(&params)).await?;
            objects.extend(list.items);
            if objects.len() > MOST_OBJECTS {
                let reason = format!("more than {MOST_OBJECTS} objects; accepted: fewer");
                return Err(Fault::Other(reason));
            }
            page = list.metadata.continue_.filter(|token| !token.is_empty());
            if page.is_none() {
                let version = list.metadata.resource_version.unwrap_or_default();
                if version.is_empty() {
                    let reason = "the list has no resourceVersion".to_owned();
                    return Err(Fault::Other(reason));
                }
                return Ok((objects, version));
            }
        }
    }

    /// Watches from a version on. Gives the version to go on from, and with a
    /// fault also that, unless everything has to be listed anew.
    async fn watch(
        &mut self,
        version: &str,
    ) -> Result<Result<String, (Fault, Option<String>)>, Closed> {
        let mut version = version.to_owned();
        let params = WatchParams {
            label_selector: self.follow.labels.clone(),
            field_selector: self.follow.fields.clone(),
            timeout: u32::try_from(self.follow.watch_timeout.as_secs().max(1)).ok(),
            ..WatchParams::default()
        };
        let started = within(
            self.follow.answer_timeout,
            self.follow.api.watch(&params, &version),
        )
        .await;
        let mut stream = match started {
            Ok(stream) => pin!(stream.into_stream().fuse()),
            Err(fault) => return Ok(Err((fault, Some(version)))),
        };
        self.tell(Change::Connected).await?;
        loop {
            let idle = self.follow.watch_timeout + WATCH_MARGIN;
            let event = match timeout(idle, stream.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(error))) => return Ok(Err((fault(&error), Some(version)))),
                // Ended as asked to, or died without a word.
                Ok(None) | Err(_) => return Ok(Ok(version)),
            };
            let (object, change): (K, fn(K) -> Change<K>) = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    (object, Change::Applied)
                }
                WatchEvent::Deleted(object) => (object, Change::Deleted),
                WatchEvent::Bookmark(mark) => {
                    version = mark.metadata.resource_version;
                    continue;
                }
                WatchEvent::Error(status) => {
                    return Ok(Err((fault(&kube::Error::Api(status)), None)));
                }
            };
            if let Some(seen) = &object.meta().resource_version {
                version.clone_from(seen);
            }
            self.pause.reset();
            self.tell(change(object)).await?;
        }
    }
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Fault> {
    match timeout(limit, call).await {
        Ok(answer) => answer.map_err(|error| fault(&error)),
        Err(_) => Err(Fault::Other(format!("no answer within {limit:?}"))),
    }
}

fn fault(error: &kube::Error) -> Fault {
    match error {
        kube::Error::Api(status) => match status.code {
            404 => Fault::Absent,
            410 => Fault::Gone,
            401 | 403 => Fault::Forbidden(cut(&status.message)),
            code => Fault::Other(format!("{code} {}", cut(&status.message))),
        },
        other => {
            // The cause says what the error itself leaves out.
            let mut reason = other.to_string();
            let mut cause = std::error::Error::source(other);
            while let Some(error) = cause {
                reason = error.to_string();
                cause = error.source();
            }
            Fault::Other(cut(&reason))
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TOLD_CHARS).collect()
}

/// Pauses that double, each cut by up to half at random.
struct Pause {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Pause {
    fn new(longest: Duration) -> Self {
        let first = longest / FIRST_PAUSE;
        Self {
            first,
            longest,
            next: first,
        }
    }

    fn reset(&mut self) {
        self.next = self.first;
    }

    async fn wait(&mut self) {
        let share = rand::random_range(0.5..1.0);
        sleep(self.next.mul_f64(share)).await;
        self.next = (self.next * 2).min(self.longest);
    }
}
