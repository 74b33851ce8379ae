//! A replica follows any store that keeps the seam, through every way in which
//! a watch can begin and end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{World, publisher, reusable, space, stored, tokens};
use futures::stream::{self, StreamExt};
use indexer_store::{IndexWatch, WatchError, WatchItem, WatchStream};
use parking_lot::Mutex;
use proto_api::{Input, ReplicaState, ScoreQuery};
use proto_model::{BlockKey, Delta, Holder, Medium, Revision, Source};
use scorer_index::{IndexLimits, Scratch};
use scorer_server::{FollowSettings, ModelsConfig, Replica, ScorerLimits};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Plays one list of items per watch, then stays silent; notes where each began.
#[derive(Default)]
struct Script {
    plays: Mutex<VecDeque<Vec<Result<WatchItem, WatchError>>>>,
    began: Mutex<Vec<Option<Revision>>>,
}

impl IndexWatch for Script {
    fn watch(&self, after: Option<Revision>) -> WatchStream {
        self.began.lock().push(after);
        match self.plays.lock().pop_front() {
            Some(play) => stream::iter(play).boxed(),
            None => stream::pending().boxed(),
        }
    }
}

fn lost() -> Result<WatchItem, WatchError> {
    Err(WatchError::Unavailable {
        reason: "test".to_owned(),
    })
}

fn snapshot(revision: u64, keys: &[u64]) -> Vec<Result<WatchItem, WatchError>> {
    let publisher = publisher("a", 0);
    let began = Delta::HolderBegan {
        holder: Holder(1),
        publisher,
        source: Source::Confirmed,
    };
    vec![
        Ok(WatchItem::SnapshotBegin),
        Ok(WatchItem::Snapshot(vec![began, stores(keys)].into())),
        Ok(WatchItem::SnapshotEnd(Revision(revision))),
    ]
}

fn stores(keys: &[u64]) -> Delta {
    let keys = keys.iter().copied().map(BlockKey).collect();
    Delta::Stored {
        holder: Holder(1),
        medium: Medium::Gpu,
        keys,
    }
}

fn deltas(revision: u64, keys: &[u64]) -> Result<WatchItem, WatchError> {
    Ok(WatchItem::Deltas {
        revision: Revision(revision),
        applied_at_ms: 0,
        deltas: vec![stores(keys)].into(),
    })
}

/// Says what was so `seconds` ago.
fn late(revision: u64, seconds: u64) -> Result<WatchItem, WatchError> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("after 1970").as_millis() as u64;
    Ok(WatchItem::Heartbeat {
        revision: Revision(revision),
        at_ms: now - seconds * 1000,
    })
}

/// Bytes that were held up on the way are not fresh because they arrive.
#[tokio::test(start_paused = true)]
async fn what_comes_late_is_as_old_as_it_is() {
    let mut first = snapshot(5, &[1]);
    first.extend([late(5, 100), deltas(6, &[2])]);
    // Without a time only the receipt counts; what is known of later stays.
    let mut second = snapshot(5, &[1]);
    second.extend([late(6, 100)]);
    let (fresh, _) = play(vec![first], 6).await;
    let (stale, _) = play(vec![second], 6).await;
    assert!(fresh.age_ms() < 100_000, "{}", fresh.age_ms());
    assert!(stale.age_ms() >= 100_000, "{}", stale.age_ms());
    assert_eq!(stale.state(), ReplicaState::Stale);
}

fn held(replica: &Replica, keys: &[u64]) -> usize {
    let keys: Vec<_> = keys.iter().copied().map(BlockKey).collect();
    let mut scratch = Scratch::new();
    let content = replica.content();
    let matches = content.index().lookup(&keys, &mut scratch, None);
    matches
        .iter()
        .next()
        .map_or(0, |found| found.blocks as usize)
}

async fn play(
    plays: Vec<Vec<Result<WatchItem, WatchError>>>,
    until: u64,
) -> (Arc<Replica>, Arc<Script>) {
    let replica = Replica::new(IndexLimits::default(), FollowSettings::default());
    let script = Arc::new(Script {
        plays: Mutex::new(plays.into()),
        ..Script::default()
    });
    let watch = Arc::clone(&script);
    tokio::spawn(Arc::clone(&replica).follow(watch, CancellationToken::new()));
    replica.reached(Revision(until)).await;
    (replica, script)
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_resumed_where_it_ended() {
    let mut first = snapshot(5, &[1]);
    first.extend([deltas(6, &[2]), lost()]);
    let (replica, script) = play(vec![first, vec![deltas(7, &[3])]], 7).await;
    assert_eq!(*script.began.lock(), [None, Some(Revision(6))]);
    assert_eq!(held(&replica, &[1, 2, 3]), 3);
    assert_eq!((replica.resets(), replica.reconnects()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn changes_seen_before_are_left_out() {
    let mut first = snapshot(5, &[1]);
    first.extend([deltas(5, &[2]), deltas(4, &[2]), deltas(6, &[3])]);
    let (replica, _) = play(vec![first], 6).await;
    assert_eq!(held(&replica, &[1]), 1);
    assert_eq!(held(&replica, &[2]), 0);
    assert_eq!(held(&replica, &[3]), 1);
}

#[tokio::test(start_paused = true)]
async fn half_a_snapshot_changes_nothing() {
    let mut torn = snapshot(9, &[7]);
    torn.truncate(2);
    torn.push(lost());
    let (replica, script) = play(vec![snapshot(5, &[1]), torn, vec![deltas(6, &[2])]], 6).await;
    assert_eq!(
        *script.began.lock(),
        [None, Some(Revision(5)), Some(Revision(5))]
    );
    assert_eq!(held(&replica, &[1, 2]), 2);
    assert_eq!(held(&replica, &[7]), 0);
}

#[tokio::test(start_paused = true)]
async fn a_replica_never_goes_back() {
    let (replica, _) = play(
        vec![snapshot(5, &[1]), snapshot(3, &[9]), vec![deltas(6, &[2])]],
        6,
    )
    .await;
    assert_eq!(held(&replica, &[1, 2]), 2, "the older snapshot was refused");
    assert_eq!(replica.resets(), 1);
    assert_eq!(replica.content().revision(), Revision(6));
}

/// One node's older history is nothing; the same again and again is the store's.
#[tokio::test(start_paused = true)]
async fn a_store_that_went_back_for_good_is_said_until_it_leads_on() {
    let refusals = 5;
    let mut plays = vec![snapshot(5, &[1])];
    plays[0].push(lost());
    plays.extend((0..refusals).map(|_| snapshot(3, &[9])));
    plays.push(vec![deltas(6, &[2]), lost()]);
    let replica = Replica::new(IndexLimits::default(), FollowSettings::default());
    let script = Arc::new(Script {
        plays: Mutex::new(plays.into()),
        ..Script::default()
    });
    tokio::spawn(Arc::clone(&replica).follow(script, CancellationToken::new()));
    let mut seen = Vec::new();
    while replica.content().revision() < Revision(6) {
        if seen.last() != Some(&(replica.refusals(), replica.store_went_back())) {
            seen.push((replica.refusals(), replica.store_went_back()));
        }
        if replica.refusals() > 0 && !replica.store_went_back() {
            assert_ne!(
                replica.state(),
                ReplicaState::Live,
                "an older history is no news"
            );
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(seen.contains(&(refusals, true)), "{seen:?}");
    assert!(seen.contains(&(refusals - 1, false)), "{seen:?}");
    assert!(!replica.store_went_back(), "it leads on");
    assert_eq!(held(&replica, &[1, 2]), 2);
}

/// A node cut off from the others may go on to say that it lives.
#[tokio::test(start_paused = true)]
async fn a_store_that_stands_behind_is_no_news_and_is_left() {
    let replica = Replica::new(IndexLimits::default(), FollowSettings::default());
    let behind = Arc::new(Behind::default());
    let watch = Arc::clone(&behind);
    tokio::spawn(Arc::clone(&replica).follow(watch, CancellationToken::new()));
    replica.reached(Revision(6)).await;
    assert_eq!(behind.watches.load(Ordering::Relaxed), 3);
    assert!(
        behind.stale.load(Ordering::Relaxed),
        "it called itself stale"
    );
}

/// The first watch stands at 5, the second at 4 for ever, the third goes on.
#[derive(Default)]
struct Behind {
    watches: std::sync::atomic::AtomicUsize,
    stale: Arc<AtomicBool>,
}

impl IndexWatch for Behind {
    fn watch(&self, _: Option<Revision>) -> WatchStream {
        match self.watches.fetch_add(1, Ordering::Relaxed) {
            0 => stream::iter(snapshot(5, &[1]))
                .chain(stream::iter([lost()]))
                .boxed(),
            1 => {
                let stale = Arc::clone(&self.stale);
                stream::unfold(0, move |beats| {
                    let stale = Arc::clone(&stale);
                    async move {
                        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                        stale.store(beats >= 14, Ordering::Relaxed);
                        let beat = WatchItem::Heartbeat {
                            revision: Revision(4),
                            at_ms: 0,
                        };
                        Some((Ok(beat), beats + 1))
                    }
                })
                .boxed()
            }
            _ => stream::iter([deltas(6, &[2])])
                .chain(stream::pending())
                .boxed(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_is_asked_again() {
    let replica = Replica::new(IndexLimits::default(), FollowSettings::default());
    let silent: Vec<_> = snapshot(5, &[1]);
    let script = Arc::new(Silent {
        first: Mutex::new(Some(silent)),
        again: AtomicBool::default(),
    });
    let watch = Arc::clone(&script);
    tokio::spawn(Arc::clone(&replica).follow(watch, CancellationToken::new()));
    replica.reached(Revision(6)).await;
    assert!(script.again.load(Ordering::Relaxed));
}

/// Gives a snapshot and falls silent without ending; the second watch goes on.
struct Silent {
    first: Mutex<Option<Vec<Result<WatchItem, WatchError>>>>,
    again: AtomicBool,
}

impl IndexWatch for Silent {
    fn watch(&self, _: Option<Revision>) -> WatchStream {
        match self.first.lock().take() {
            Some(items) => stream::iter(items).chain(stream::pending()).boxed(),
            None => {
                self.again.store(true, Ordering::Relaxed);
                stream::iter([deltas(6, &[2])])
                    .chain(stream::pending())
                    .boxed()
            }
        }
    }
}

#[tokio::test]
async fn a_closed_store_leaves_a_stale_replica_that_still_answers() {
    let (world, space) = (World::new().await, space("m", None, 4));
    let prompt = tokens(1, 9);
    world
        .publish(
            &publisher("a", 0),
            &space,
            vec![stored(&space, &prompt, Medium::Gpu)],
        )
        .await;
    let replica = Arc::clone(world.scorer.scoring().replicas().first());
    world.store.close().await;
    while replica.state() != ReplicaState::Stale {
        tokio::task::yield_now().await;
    }
    let answer = world.score_tokens("m", prompt).await;
    assert_eq!(reusable(&answer), [("a#0".into(), 8)]);
    assert_eq!(answer.state, ReplicaState::Stale);
}

/// I4 under fire: while snapshots replace the content and changes arrive, no
/// answer lacks what the revision that it reports must contain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_during_swaps_are_never_older_than_they_say() {
    let world = Arc::new(World::unfollowed(
        ModelsConfig::default(),
        ScorerLimits::default(),
    ));
    let replica = Arc::clone(world.scorer.scoring().replicas().first());
    let cuts = Arc::new(Notify::new());
    let watch = Cut {
        world: Arc::clone(&world),
        cuts: Arc::clone(&cuts),
    };
    tokio::spawn(Arc::clone(&replica).follow(Arc::new(watch), world.stop.clone()));
    replica.reached(Revision(0)).await;

    let (a, space, prompt) = (publisher("a", 0), space("m", None, 1), tokens(1, 400));
    // Revision `base + n` holds n blocks of the prompt, or more.
    let base = world.store.revision().0;
    let done = Arc::new(AtomicBool::default());
    let reader = tokio::spawn(read(
        Arc::clone(&world),
        prompt.clone(),
        base,
        Arc::clone(&done),
    ));
    for length in 1..=prompt.len() {
        let changes = vec![stored(&space, &prompt[..length], Medium::Gpu)];
        world.publish(&a, &space, changes).await;
        if length % 50 == 0 {
            cuts.notify_one();
        }
    }
    done.store(true, Ordering::Relaxed);
    assert!(reader.await.expect("no answer was too old") > 0);
    assert!(replica.resets() > 5, "{} snapshots", replica.resets());
}

async fn read(world: Arc<World>, prompt: Vec<u32>, base: u64, done: Arc<AtomicBool>) -> u64 {
    let mut answers = 0;
    while !done.load(Ordering::Relaxed) {
        let query = ScoreQuery::new("m", Input::Tokens(prompt.clone()));
        if let Ok(answer) = world.score(query).await {
            let matched = answer
                .endpoints
                .first()
                .map_or(0, |e| u64::from(e.matched_blocks));
            let due = answer.revision.0.saturating_sub(base);
            assert!(matched >= due, "{matched} blocks at revision base + {due}");
            answers += 1;
        }
        tokio::task::yield_now().await;
    }
    answers
}

/// The world's store; every cut ends the watch, and every watch begins with a
/// snapshot.
struct Cut {
    world: Arc<World>,
    cuts: Arc<Notify>,
}

impl IndexWatch for Cut {
    fn watch(&self, _: Option<Revision>) -> WatchStream {
        let cuts = Arc::clone(&self.cuts);
        let cut = Box::pin(async move { cuts.notified().await });
        self.world
            .store
            .watch(None)
            .take_until(cut)
            .chain(stream::iter([lost()]))
            .boxed()
    }
}
