//! Items that were held up on the way carry it, whatever the node's clock shows.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::stream::{self, StreamExt};
use indexer_store::{IndexWatch, WatchItem, WatchStream};
use indexer_store_grpc::{RemoteOptions, RemoteStore, StoreLimits};
use proto_model::Revision;
use tokio::time::timeout;

use super::node::{Node, PATIENCE, embedded};

/// A node whose clock is an hour ahead, and whose items take as many seconds as
/// given until they are sent.
struct Late {
    seconds: Vec<u64>,
}

/// How far ahead the node's clock is.
const AHEAD_MS: u64 = 3_600_000;

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_millis() as u64
}

impl IndexWatch for Late {
    fn watch(&self, _: Option<Revision>) -> WatchStream {
        let begun = now_ms();
        let begin = [
            WatchItem::SnapshotBegin,
            WatchItem::SnapshotEnd(Revision(1)),
        ];
        let beats = self
            .seconds
            .clone()
            .into_iter()
            .map(move |seconds| WatchItem::Heartbeat {
                revision: Revision(1),
                at_ms: begun + AHEAD_MS - seconds * 1000,
            });
        stream::iter(begin.into_iter().chain(beats).map(Ok))
            .chain(stream::pending())
            .boxed()
    }
}

#[tokio::test]
async fn a_delay_is_told_apart_from_the_nodes_clock() {
    let node = Node::start(
        &embedded(),
        &Arc::new(Late {
            seconds: vec![0, 30, 0],
        }),
        StoreLimits::default(),
    )
    .await;
    let client = RemoteStore::connect(RemoteOptions::new(vec![node.address()])).expect("valid");
    let begun = now_ms();
    let mut items = client.watch(None);
    let mut dated = Vec::new();
    while dated.len() < 3 {
        let item = timeout(PATIENCE, items.next()).await.expect("in time");
        if let WatchItem::Heartbeat { at_ms, .. } = item.expect("open").expect("an item") {
            dated.push((at_ms, now_ms()));
        }
    }
    let slack = Duration::from_secs(1).as_millis() as u64;
    for place in [0, 2] {
        let (at, now) = dated[place];
        assert!(at <= now && at + slack >= begun, "{place}: {dated:?}");
    }
    let (at, now) = dated[1];
    assert!(at + 30_000 <= now + slack, "{dated:?}");
}
