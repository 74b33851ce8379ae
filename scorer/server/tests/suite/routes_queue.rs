//! How routes reach a store that is slow, away, or busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use indexer_store::{AppendError, Appended, EmbeddedOptions, EmbeddedStore, IndexWriter};
use parking_lot::Mutex;
use proto_api::v1::{RecordRouteRequest, RouteKind};
use proto_api::{FailureKind, InvalidRoute, RecordRoute};
use proto_model::Batch;
use scorer_server::Routes;
use tokio::sync::Semaphore;

use crate::common::World;

/// A store that can be held up, or made to fail.
struct Moody {
    store: EmbeddedStore,
    /// One permit per append that may go on.
    open: Semaphore,
    /// What the next appends say instead of appending.
    failures: Mutex<Vec<AppendError>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    /// Commands of each batch that was appended.
    sizes: Mutex<Vec<usize>>,
}

impl Moody {
    fn new(open: usize) -> Arc<Self> {
        Arc::new(Self {
            store: EmbeddedStore::in_memory(EmbeddedOptions::default()),
            open: Semaphore::new(open),
            failures: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
            sizes: Mutex::default(),
        })
    }
}

#[async_trait]
impl IndexWriter for Moody {
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(now, Ordering::SeqCst);
        let permit = self.open.acquire().await.expect("never closed");
        permit.forget();
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        if let Some(failure) = self.failures.lock().pop() {
            return Err(failure);
        }
        let appended = self.store.append(batch).await?;
        self.sizes.lock().push(batch.commands.len());
        Ok(appended)
    }
}

fn away() -> AppendError {
    AppendError::Unavailable {
        reason: "nobody listens".to_owned(),
    }
}

fn route(number: usize, keys: usize) -> Result<RecordRoute, InvalidRoute> {
    RecordRoute::try_from(RecordRouteRequest {
        address: format!("10.0.{}.{}:8000", number / 250, number % 250),
        kind: RouteKind::Speculative.into(),
        keys: (0..keys as u64).collect(),
        lifetime_ms: 1000,
        ..Default::default()
    })
}

async fn routes(store: &Arc<Moody>) -> (World, Arc<Routes>) {
    let world = World::new().await;
    let writers = vec![Arc::clone(store) as _];
    let (routes, writing) = Routes::new(&world.scorer, "default".to_owned(), writers);
    tokio::spawn(writing.run(world.stop.clone()));
    (world, routes)
}

#[tokio::test]
async fn concurrent_calls_share_batches_and_two_are_under_way() {
    let store = Moody::new(0);
    let (_world, routes) = routes(&store).await;
    let calls: Vec<_> = (0..1000)
        .map(|number| {
            let routes = Arc::clone(&routes);
            tokio::spawn(async move { routes.record(route(number, 3), None).await })
        })
        .collect();
    // Let them all come before the store answers anybody.
    while store.under_way.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    store.open.add_permits(1000);
    for call in join_all(calls).await {
        assert!(call.expect("no panic").is_ok());
    }
    assert_eq!(store.most_under_way.load(Ordering::SeqCst), 2);
    let sizes = store.sizes.lock().clone();
    assert_eq!(sizes.iter().sum::<usize>(), 1000);
    assert!(sizes.iter().all(|size| *size <= 256), "{sizes:?}");
    assert!(sizes.len() < 200, "{sizes:?}");
}

#[tokio::test]
async fn a_store_that_comes_back_has_the_route() {
    let store = Moody::new(1000);
    store
        .failures
        .lock()
        .extend([AppendError::NotLeader { leader: None }, away(), away()]);
    let (_world, routes) = routes(&store).await;
    let recorded = routes
        .record(route(1, 3), Some(Duration::from_secs(60)))
        .await;
    assert_eq!(recorded, Ok(store.store.revision()));
    assert_eq!(*store.sizes.lock(), [1]);
    assert!(store.failures.lock().is_empty());
}

#[tokio::test]
async fn a_store_that_stays_away_is_told_before_the_caller_gives_up() {
    let store = Moody::new(1000);
    store.failures.lock().extend(vec![away(); 1000]);
    let (_world, routes) = routes(&store).await;
    let timeout = Some(Duration::from_millis(500));
    let failure = routes.record(route(1, 3), timeout).await.expect_err("away");
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.message.contains("nobody listens"), "{failure}");
    assert!(store.failures.lock().len() < 999, "tried more than once");

    store.failures.lock().clear();
    store.failures.lock().push(AppendError::Closed {
        reason: "its disk failed".to_owned(),
    });
    let failure = routes.record(route(1, 3), None).await.expect_err("closed");
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.message.contains("its disk failed"), "{failure}");
}

#[tokio::test]
async fn a_store_that_does_not_answer_costs_no_more_than_the_callers_time() {
    let store = Moody::new(0);
    let (_world, routes) = routes(&store).await;
    let timeout = Some(Duration::from_millis(20));
    let failure = routes.record(route(1, 3), timeout).await.expect_err("late");
    assert_eq!(failure.kind, FailureKind::DeadlineExceeded);
}

/// Of the largest routes a few fill the bytes, of small ones thousands the places.
#[tokio::test]
async fn a_full_queue_refuses_at_once_and_says_when_to_try_again() {
    for (keys, room) in [(proto_api::limits::ROUTE_KEYS, 15), (1, 4096)] {
        let store = Moody::new(0);
        let (_world, routes) = routes(&store).await;
        let mut calls = Vec::new();
        let refused = loop {
            let mut call = Box::pin(routes.record(route(calls.len(), keys), None));
            match futures::poll!(&mut call) {
                std::task::Poll::Pending => calls.push(call),
                std::task::Poll::Ready(answer) => break answer.expect_err("full"),
            }
            assert!(calls.len() <= room, "the queue has a bound");
        };
        assert_eq!(refused.kind, FailureKind::Busy, "{refused}");
        assert!(refused.retry_after.is_some());
        assert_eq!(calls.len(), room);
    }
}

#[tokio::test]
async fn what_was_taken_is_appended_before_the_end() {
    let store = Moody::new(1000);
    let world = World::new().await;
    let writers = vec![Arc::clone(&store) as _];
    let (routes, writing) = Routes::new(&world.scorer, "default".to_owned(), writers);
    let call = {
        let routes = Arc::clone(&routes);
        tokio::spawn(async move { routes.record(route(1, 3), None).await })
    };
    // Queued before anybody works on it.
    tokio::task::yield_now().await;
    world.stop.cancel();
    writing.run(world.stop.clone()).await;
    assert_eq!(*store.sizes.lock(), [1]);
    assert!(call.await.expect("no panic").is_ok());
    let failure = routes.record(route(2, 3), None).await.expect_err("over");
    assert_eq!(failure.kind, FailureKind::Unavailable);
}
