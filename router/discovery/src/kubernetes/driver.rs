//! Owns the state, publishes views, and makes sure that what departs is gone.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::KubernetesSettings;
use super::cluster::{Cluster, NamedPod};
use super::follow::{Change, Follow};
use super::gone::{CHECKS, Checks, Verdict};
use super::kinds::Kind;
use super::troubles::Troubles;
use crate::departures::{Book, Departure, Departures, departures};
use crate::manifest::{Mistakes, ResourceName};
use crate::source::{Discovery, Publisher};
use crate::view::PoolView;

/// Changes that wait for the driver.
const INBOX: usize = 256;
/// Changes that are taken before a view is published.
const TAKEN_AT_ONCE: usize = 1_024;
/// Departures are looked for this often, or four times per grace period.
const DEPARTURE_TICK: Duration = Duration::from_secs(5);

enum Message {
    Object(Kind, Change<Value>),
    /// With the number of the follower that says so.
    Pod(u64, Change<NamedPod>),
}

pub(super) fn start(
    settings: KubernetesSettings,
    client: Client,
    pool: ResourceName,
) -> (Discovery, Departures) {
    let publisher = Publisher::new(PoolView {
        pool: pool.to_string(),
        ..PoolView::default()
    });
    let discovery = publisher.discovery();
    let (queue, departures) = departures();
    let (outbox, inbox) = mpsc::channel(INBOX);
    let kinds = Kind::followed(settings.pool_group);
    let mut driver = Driver {
        cluster: Cluster::new(pool.clone(), &kinds),
        book: Book::new(settings.departure_grace),
        settings,
        client,
        pool,
        publisher,
        queue,
        outbox,
        followers: Vec::new(),
        pods: None,
        pods_number: 0,
        troubles: Troubles::default(),
        mistakes: None,
        checks: Checks::default(),
    };
    for kind in kinds {
        driver.follow(kind);
    }
    let task = AbortOnDropHandle::new(tokio::spawn(driver.run(inbox)));
    (discovery.owning(task), departures)
}

struct Driver {
    settings: KubernetesSettings,
    client: Client,
    pool: ResourceName,
    cluster: Cluster,
    publisher: Publisher,
    book: Book,
    queue: mpsc::Sender<Departure>,
    outbox: mpsc::Sender<Message>,
    followers: Vec<AbortOnDropHandle<()>>,
    pods: Option<PodFollower>,
    pods_number: u64,
    troubles: Troubles,
    /// What was wrong when the last view was made.
    mistakes: Option<Arc<Mistakes>>,
    checks: Checks,
}

struct PodFollower {
    number: u64,
    labels: String,
    _task: AbortOnDropHandle<()>,
}

impl Driver {
    async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let tick = DEPARTURE_TICK.min(self.settings.departure_grace / 4);
        let mut ticks = interval(tick.max(Duration::from_millis(20)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = inbox.recv() => {
                    // The driver holds a sender of its own: there is no end.
                    let Some(message) = message else { return };
                    self.take(message);
                    for _ in 1..TAKEN_AT_ONCE {
                        let Ok(message) = inbox.try_recv() else { break };
                        self.take(message);
                    }
                    self.follow_pods();
                    self.publish();
                }
                _ = ticks.tick() => self.look_for_departures(),
                (gone, verdict) = self.checks.next() => self.checked(gone, &verdict),
            }
        }
    }

    fn follow(&mut self, kind: Kind) {
        let namespace = &self.pool.namespace;
        let follow = Follow::<DynamicObject> {
            api: Api::namespaced_with(self.client.clone(), namespace, &kind.resource()),
            kind,
            labels: None,
            fields: matches!(kind, Kind::Pool(_))
                .then(|| format!("metadata.name={}", self.pool.name)),
            answer_timeout: self.settings.answer_timeout,
            watch_timeout: self.settings.watch_timeout,
            absent_retry: self.settings.absent_retry,
            longest_pause: self.settings.longest_pause,
        };
        let outbox = self.outbox.clone();
        let run = follow.run(outbox, move |change| {
            Message::Object(kind, change.map(|object| value_of(kind, &object)))
        });
        self.followers
            .push(AbortOnDropHandle::new(tokio::spawn(run)));
    }

    /// Follows the pods that the pool selects now.
    fn follow_pods(&mut self) {
        let labels = self.cluster.pool().map(|pool| {
            let pair = |(key, value)| format!("{key}={value}");
            pool.selector.iter().map(pair).collect::<Vec<_>>().join(",")
        });
        let followed = self.pods.as_ref().map(|pods| &pods.labels);
        if followed == labels.as_ref() {
            return;
        }
        self.troubles.readable(Kind::Pod);
        let Some(labels) = labels else {
            self.pods = None;
            self.cluster.pods_unfollowed();
            return;
        };
        self.pods_number += 1;
        let number = self.pods_number;
        let follow = Follow::<Pod> {
            api: Api::namespaced(self.client.clone(), &self.pool.namespace),
            kind: Kind::Pod,
            labels: Some(labels.clone()),
            fields: None,
            answer_timeout: self.settings.answer_timeout,
            watch_timeout: self.settings.watch_timeout,
            absent_retry: self.settings.absent_retry,
            longest_pause: self.settings.longest_pause,
        };
        let outbox = self.outbox.clone();
        let run = follow.run(outbox, move |change| {
            Message::Pod(number, change.map(|pod| NamedPod::of(&pod)))
        });
        // Pods of the old selector stay until those of the new one are listed,
        // as far as the new one selects them too.
        self.pods = Some(PodFollower {
            number,
            labels,
            _task: AbortOnDropHandle::new(tokio::spawn(run)),
        });
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Object(kind, change) => self.take_object(kind, change),
            Message::Pod(number, change) => {
                let current = self.pods.as_ref().is_some_and(|pods| pods.number == number);
                if current {
                    self.take_pod(change);
                }
            }
        }
    }

    fn take_object(&mut self, kind: Kind, change: Change<Value>) {
        match change {
            Change::Listed(objects) => {
                self.cluster.listed(kind, &objects);
                self.troubles.readable(kind);
            }
            Change::Applied(object) => self.cluster.applied(kind, &object),
            Change::Deleted(object) => self.cluster.deleted(kind, &object),
            Change::Connected => self.troubles.readable(kind),
            Change::Absent => {
                self.cluster.absent(kind);
                self.troubles.readable(kind);
            }
            Change::Forbidden(reason) => {
                self.cluster.unreadable(kind);
                self.troubles.forbidden(kind, &reason);
            }
            Change::Lost(reason) => self.troubles.unreadable(kind, reason),
        }
    }

    fn take_pod(&mut self, change: Change<NamedPod>) {
        match change {
            Change::Listed(pods) => {
                self.cluster.pods_listed(pods);
                self.troubles.readable(Kind::Pod);
            }
            Change::Applied(pod) => self.cluster.pod_applied(pod),
            Change::Deleted(pod) => self.cluster.pod_deleted(&pod),
            Change::Connected => self.troubles.readable(Kind::Pod),
            Change::Absent => {
                self.troubles
                    .unreadable(Kind::Pod, "the API server does not know pods".to_owned());
            }
            Change::Forbidden(reason) => {
                self.troubles.forbidden(Kind::Pod, &reason);
            }
            Change::Lost(reason) => self.troubles.unreadable(Kind::Pod, reason),
        }
    }

    fn publish(&mut self) {
        let (view, mistakes) = self.cluster.view();
        let known = self.mistakes.as_deref();
        let fresh = mistakes.is_some() && mistakes.as_ref() != known;
        if let (true, Some(mistakes)) = (fresh, &mistakes) {
            for mistake in mistakes.told() {
                tracing::warn!(%mistake, "the last good manifest stays in use");
            }
        }
        if mistakes.as_ref() != known {
            self.mistakes = mistakes.map(Arc::new);
        }
        self.publisher.view(view);
        self.observe(Instant::now());
        self.troubles.pool_kinds(self.cluster.pool_kind_absent());
        let (stale, troubles) = (self.troubles.stale(), self.troubles.others());
        let last_error = self.mistakes.clone();
        self.publisher.status(|status| {
            status.stale = stale;
            status.troubles = troubles;
            status.last_error = last_error;
            status.refused = status.refused.saturating_add(u64::from(fresh));
        });
    }

    /// Notes which endpoints are there, if that is known.
    fn observe(&mut self, now: Instant) -> bool {
        if !self.fresh() {
            self.book.hold(now);
            return false;
        }
        let present = self.cluster.present();
        let there = present.iter().map(|e| (e.address, e.name.as_str()));
        self.book.observe(now, there);
        true
    }

    /// Whether the endpoints are known as they are now.
    fn fresh(&self) -> bool {
        self.cluster.synced() && self.troubles.stale().is_none()
    }

    fn look_for_departures(&mut self) {
        let now = Instant::now();
        if !self.observe(now) {
            return;
        }
        let pods = Api::namespaced(self.client.clone(), &self.pool.namespace);
        for gone in self.book.due(now, CHECKS * 2) {
            self.checks.ask(&pods, gone);
        }
    }

    fn checked(&mut self, gone: Departure, verdict: &Verdict) {
        let now = Instant::now();
        // It may have come back, or the API server may have been lost meanwhile.
        if !self.fresh() || !self.book.is_due(now, gone.address) {
            return;
        }
        match verdict {
            Verdict::Gone => {
                tracing::info!(endpoint = %gone.address, name = gone.name, "endpoint gone for good");
                self.book.tell(&self.queue, gone);
            }
            Verdict::Elsewhere => self.book.postpone(now, gone.address),
            Verdict::Unknown => self.book.hold(now),
        }
    }
}

/// An object as a manifest; items of lists may lack their kind.
fn value_of(kind: Kind, object: &DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        let resource = kind.resource();
        fields.insert("apiVersion".to_owned(), resource.api_version.into());
        fields.insert("kind".to_owned(), resource.kind.into());
    }
    value
}
