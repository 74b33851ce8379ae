//! Watchers that do not read.

use std::sync::Arc;
use std::time::Duration;

use indexer_store::IndexWriter;
use indexer_store_grpc::{RemoteOptions, RemoteStore, StoreLimits};
use proto_api::StoreFailure;
use proto_api::v1::WatchRequest;
use proto_api::v1::store_client::StoreClient;
use proto_model::Revision;
use tokio::time::timeout;
use tonic::Streaming;
use tonic::transport::Endpoint;

use super::batch::stored;
use super::flood::Flood;
use super::node::{Node, PATIENCE, embedded, remote};
use super::reader::Reader;
use super::writers::Follower;

async fn node(flood: &Arc<Flood>, slow_after: Duration) -> Node {
    let limits = StoreLimits {
        slow_after,
        ..StoreLimits::default()
    };
    let (writer, _) = Follower::of(None);
    Node::start(&writer, flood, limits).await
}

/// A watch whose connection has room for little.
async fn narrow(node: &Node) -> Streaming<proto_api::v1::WatchResponse> {
    let channel = Endpoint::from_shared(format!("http://{}", node.address))
        .expect("an address")
        .initial_stream_window_size(1 << 16)
        .initial_connection_window_size(1 << 16)
        .connect()
        .await
        .expect("connects");
    let mut client = StoreClient::new(channel);
    let watching = client.watch(WatchRequest::default());
    watching.await.expect("a watch").into_inner()
}

async fn until_cut_off(node: &Node) {
    let waiting = async {
        while node.metric("kvatlas_store_server_watches_cut_off_total") == 0.0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("cut off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_watcher_is_cut_off_and_others_go_on() {
    // Much more than the connection of the slow one has room for.
    let flood = Flood::of(300);
    let node = node(&flood, Duration::from_secs(1)).await;
    let mut slow = narrow(&node).await;
    let client = remote(&[node.address()]);
    let mut other = Reader::new(&client);
    assert_eq!(other.follow(&client, flood.last()).await, 0);
    let waiting = async {
        while flood.open() > 1 {
            // It goes on while the slow one is waited for, and after.
            other.step().await.expect("a heartbeat");
        }
    };
    timeout(PATIENCE, waiting)
        .await
        .expect("its place is given up");
    other.step().await.expect("a heartbeat");
    until_cut_off(&node).await;
    // When the slow one reads, it gets what was on its way, and is told.
    let ended = async {
        loop {
            match slow.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("ended without a word"),
                Err(status) => return status,
            }
        }
    };
    let status = timeout(PATIENCE, ended).await.expect("an end");
    let StoreFailure::Lagged { at } = StoreFailure::from(&status) else {
        panic!("{status} is another end");
    };
    assert!(at > Revision(0) && at < flood.last(), "{at:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_with_nothing_to_read_is_not_slow() {
    let flood = Flood::of(1);
    // Far longer than a heartbeat takes to be read, also on a busy machine.
    let node = node(&flood, Duration::from_secs(2)).await;
    let client = remote(&[node.address()]);
    let mut reader = Reader::new(&client);
    reader.follow(&client, flood.last()).await;
    // Heartbeats only, for longer than the limit.
    for _ in 0..60 {
        reader.step().await.expect("a heartbeat");
    }
    let cut_off = "kvatlas_store_server_watches_cut_off_total";
    assert_eq!(node.metric(cut_off), 0.0);
    assert_eq!(node.metric("kvatlas_store_server_watches"), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_behind_the_client_goes_on_where_it_stood() {
    // More than all windows and buffers of a connection hold.
    let flood = Flood::of(600);
    let node = node(&flood, Duration::from_secs(1)).await;
    let client = remote(&[node.address()]);
    let mut reader = Reader::new(&client);
    reader.follow(&client, Revision(1)).await;
    until_cut_off(&node).await;
    assert_eq!(reader.follow(&client, flood.last()).await, 0);
    assert_eq!(reader.snapshots, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_have_a_limit() {
    let store = embedded();
    let limits = StoreLimits {
        watches_max: 1,
        ..StoreLimits::default()
    };
    let node = Node::start(&store, &store, limits).await;
    let first = narrow(&node).await;
    let mut options = RemoteOptions::new(vec![node.address()]);
    options.watch_patience = Duration::from_millis(100);
    let client = RemoteStore::connect(options).expect("valid");
    let error = Reader::new(&client).step().await.expect_err("no place");
    assert!(
        error.retryable() && error.to_string().contains("open already"),
        "{error}"
    );
    drop(first);
    let reading = async { while Reader::new(&client).step().await.is_err() {} };
    timeout(PATIENCE, reading)
        .await
        .expect("the place is free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_revision_arrives_in_parts_and_is_one() {
    let store = embedded();
    let node = Node::of(&store).await;
    let client = remote(&[node.address()]);
    let mut reader = Reader::new(&client);
    let before = store
        .append(&stored(1, 0, 1))
        .await
        .expect("taken")
        .revision;
    reader.follow(&client, before).await;
    let sent = node.metric("kvatlas_store_server_watch_messages_total");
    let large = store
        .append(&stored(1, 1, 300_000))
        .await
        .expect("taken")
        .revision;
    assert_eq!(reader.follow(&client, large).await, 0);
    assert_eq!(
        reader
            .held
            .values()
            .map(|blocks| blocks.len())
            .sum::<usize>(),
        300_001
    );
    let sent = node.metric("kvatlas_store_server_watch_messages_total") - sent;
    assert!(sent >= 8.0, "{sent} messages");
    let mut options = RemoteOptions::new(vec![node.address()]);
    options.revision_bytes_max = 1 << 20;
    options.watch_patience = Duration::from_millis(200);
    let small = RemoteStore::connect(options).expect("valid");
    let mut bounded = Reader::new(&small);
    (bounded.at, bounded.furthest) = (Some(before), Some(before));
    bounded.resume(&small);
    let error = loop {
        if let Err(error) = bounded.step().await {
            break error;
        }
    };
    assert!(error.retryable(), "{error}");
    assert_eq!(bounded.at, Some(before));
}
