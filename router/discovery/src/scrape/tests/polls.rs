//! The pool is followed, and every endpoint in it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::super::{Loads, ScrapeMistake, ScrapeSettings, Scraper};
use super::engine::{Answer, Engine, until, vllm};
use crate::{PoolEndpoint, PoolView};

/// A pool whose endpoints are asked every 10 ms.
pub(super) struct Pool {
    view: watch::Sender<Arc<PoolView>>,
    pub(super) loads: Arc<Loads>,
    stop: CancellationToken,
    running: AbortOnDropHandle<()>,
}

impl Pool {
    pub(super) fn of(addresses: &[SocketAddr], settings: ScrapeSettings) -> Self {
        let (view, pool) = watch::channel(Arc::new(view(addresses)));
        let scraper = Scraper::new(settings, pool).unwrap();
        let stop = CancellationToken::new();
        Self {
            view,
            loads: scraper.loads(),
            running: AbortOnDropHandle::new(tokio::spawn(scraper.run(stop.clone()))),
            stop,
        }
    }

    fn becomes(&self, addresses: &[SocketAddr]) {
        self.view.send_replace(Arc::new(view(addresses)));
    }
}

fn view(addresses: &[SocketAddr]) -> PoolView {
    let endpoints = addresses.iter().map(|address| {
        Arc::new(PoolEndpoint {
            name: format!("default/{address}"),
            address: *address,
            labels: BTreeMap::new(),
        })
    });
    PoolView {
        endpoints: endpoints.collect(),
        ..PoolView::default()
    }
}

/// Quick, and never stale or too late by accident on a busy machine.
pub(super) fn quick() -> ScrapeSettings {
    ScrapeSettings {
        interval: Duration::from_millis(10),
        timeout: Duration::from_secs(60),
        stale_after: Duration::from_secs(300),
        ..ScrapeSettings::default()
    }
}

#[tokio::test]
async fn loads_are_followed_over_one_connection() {
    let engine = Engine::new(Answer::Text(vllm(3, 17, 0.25))).await;
    let pool = Pool::of(&[engine.address], quick());
    until("a load", || pool.loads.get(&engine.address).is_some()).await;
    let load = pool.loads.get(&engine.address).unwrap();
    assert_eq!((load.waiting, load.running, load.kv_usage), (3, 17, 0.25));
    assert_eq!((load.block_size, load.num_blocks), (Some(64), Some(4802)));
    assert_eq!(load.load().waiting, 3);

    engine.answers(Answer::Text(vllm(0, 1, 0.5)));
    let waiting = || pool.loads.get(&engine.address).unwrap().waiting;
    until("the next load", || waiting() == 0).await;
    until("many scrapes", || engine.requests() > 20).await;
    assert_eq!(engine.connections(), 1);
    let counters = pool.loads.counters();
    assert_eq!((counters.endpoints, counters.fresh), (1, 1));
    assert!(counters.answered >= 2 && counters.failed.iter().all(|(_, n)| *n == 0));
}

#[tokio::test]
async fn endpoints_come_and_go_with_the_pool() {
    let first = Engine::new(Answer::Text(vllm(1, 0, 0.0))).await;
    let second = Engine::new(Answer::Text(vllm(2, 0, 0.0))).await;
    let pool = Pool::of(&[first.address], quick());
    until("the first", || pool.loads.get(&first.address).is_some()).await;
    assert!(pool.loads.get(&second.address).is_none());

    pool.becomes(&[second.address, second.address]);
    until("the second", || pool.loads.get(&second.address).is_some()).await;
    assert!(pool.loads.get(&first.address).is_none());
    assert_eq!(pool.loads.counters().endpoints, 1);
    // One scrape may have been on its way; none follows it.
    let seen = first.requests();
    let target = second.requests() + 50;
    until("more of the second", || second.requests() > target).await;
    assert!(first.requests() <= seen + 1);
}

#[tokio::test]
async fn an_endpoint_that_stays_keeps_its_sample_when_the_pool_changes() {
    let engine = Engine::new(Answer::Text(vllm(7, 0, 0.0))).await;
    let other = Engine::new(Answer::Silence).await;
    let pool = Pool::of(&[engine.address], quick());
    until("a load", || pool.loads.get(&engine.address).is_some()).await;
    engine.answers(Answer::Silence);
    pool.becomes(&[engine.address, other.address]);
    until("both", || pool.loads.counters().endpoints == 2).await;
    assert_eq!(pool.loads.get(&engine.address).unwrap().waiting, 7);
    assert_eq!(pool.loads.counters().silent, 1);
}

#[tokio::test]
async fn an_engine_that_is_away_is_counted_and_comes_back() {
    let engine = Engine::new(Answer::Text(vllm(7, 0, 0.0))).await;
    let pool = Pool::of(&[engine.address], quick());
    let address = engine.address;
    until("a load", || pool.loads.get(&address).is_some()).await;
    engine.answers(Answer::Raw(
        b"HTTP/1.1 503 busy\r\ncontent-length: 0\r\n\r\n".to_vec(),
    ));
    until("three failures", || pool.loads.failures(&address) >= 3).await;

    // Until it is too old the last sample counts, and says how it stands.
    let load = pool.loads.get(&address).unwrap();
    assert!(load.waiting == 7 && load.failures >= 3);
    let fresh_until = load.sampled_at + quick().stale_after;
    assert!(pool.loads.get_at(&address, fresh_until).is_some());
    let stale = fresh_until + Duration::from_nanos(1);
    assert!(pool.loads.get_at(&address, stale).is_none());

    engine.answers(Answer::Text(vllm(1, 0, 0.0)));
    until("it is back", || pool.loads.failures(&address) == 0).await;
    assert_eq!(pool.loads.get(&address).unwrap().waiting, 1);
}

#[tokio::test]
async fn a_sample_that_is_too_old_is_none() {
    let engine = Engine::new(Answer::Text(vllm(7, 0, 0.0))).await;
    let settings = ScrapeSettings {
        timeout: Duration::from_millis(50),
        stale_after: Duration::from_millis(100),
        ..quick()
    };
    let pool = Pool::of(&[engine.address], settings);
    until("answered", || pool.loads.counters().answered > 0).await;
    engine.answers(Answer::Silence);
    until("stale", || pool.loads.counters().stale == 1).await;
    assert!(pool.loads.get_at(&engine.address, Instant::now()).is_none());
    until("told", || pool.loads.failures(&engine.address) > 0).await;
}

#[tokio::test]
async fn engines_that_hang_do_not_hold_up_the_others() {
    let engine = Engine::new(Answer::Text(vllm(0, 0, 0.0))).await;
    let hanging = Engine::new(Answer::Silence).await;
    // One place: the hanging engine would keep it for a second at a time.
    let settings = ScrapeSettings {
        concurrency: 1,
        timeout: Duration::from_secs(1),
        ..quick()
    };
    let pool = Pool::of(&[engine.address, hanging.address], settings);
    let hangs = || pool.loads.failures(&hanging.address);
    until("it hangs", || hangs() > 0).await;
    let (before, seen) = (hangs(), engine.requests());
    until("three more", || hangs() >= before + 3).await;
    // Sharing the place they would take turns.
    assert!(
        engine.requests() - seen > 10,
        "{}",
        engine.requests() - seen
    );
}

#[tokio::test]
async fn the_end_ends_every_poll() {
    let engine = Engine::new(Answer::Silence).await;
    let pool = Pool::of(&[engine.address], quick());
    until("asked", || engine.open() == 1).await;
    pool.stop.cancel();
    pool.running.await.unwrap();
    until("closed", || engine.open() == 0).await;
    assert_eq!(engine.requests(), 1);
}

#[tokio::test]
async fn polling_goes_on_when_nobody_keeps_the_pool() {
    let engine = Engine::new(Answer::Text(vllm(0, 0, 0.0))).await;
    let Pool { view, running, .. } = Pool::of(&[engine.address], quick());
    drop(view);
    until("still asked", || engine.requests() > 3).await;
    assert!(!running.is_finished());
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let (_view, pool) = watch::channel(Arc::default());
    let refused = |settings| Scraper::new(settings, pool.clone()).err().unwrap();
    let usual = ScrapeSettings::default();
    assert_eq!(usual.validate(), Ok(()));
    let interval = Duration::ZERO;
    assert_eq!(
        refused(ScrapeSettings { interval, ..usual }),
        ScrapeMistake::Interval(interval)
    );
    let stale_after = Duration::from_millis(1_200);
    let mistake = refused(ScrapeSettings {
        stale_after,
        ..usual
    });
    assert_eq!(
        mistake.to_string(),
        "stale_after (1.2s) is not above interval + timeout (200ms + 1s): every slow answer \
         would make its endpoint's load unknown"
    );
    let concurrency = 0;
    let nobody = refused(ScrapeSettings {
        concurrency,
        ..usual
    });
    assert_eq!(nobody, ScrapeMistake::Concurrency);
}
