//! Watches whose nodes come and go.

use std::time::Duration;

use indexer_store::{IndexWriter, WatchError};
use indexer_store_grpc::{RemoteOptions, RemoteStore};
use prometheus_client::registry::Registry;
use proto_model::Revision;

use super::batch::stored;
use super::flood::Flood;
use super::node::{Node, dead, embedded, metric};
use super::proxy::{Mode, Proxy};
use super::reader::Reader;
use super::writers::Follower;

fn client(addresses: Vec<String>) -> RemoteStore {
    let mut options = RemoteOptions::new(addresses);
    options.watch_first = Duration::from_millis(500);
    options.watch_silent = Duration::from_millis(500);
    options.watch_patience = Duration::from_secs(60);
    RemoteStore::connect(options).expect("valid")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_over_failing_nodes_sees_every_change_once() {
    let store = embedded();
    let node = Node::of(&store).await;
    let proxies = [
        Proxy::to(node.address, Mode::Pass).await,
        Proxy::to(node.address, Mode::Pass).await,
    ];
    let client = client(proxies.iter().map(|proxy| proxy.address.clone()).collect());
    let mut registry = Registry::default();
    client.register(&mut registry);
    let mut reader = Reader::new(&client);
    let mut sequence = 0;
    for round in 0..12 {
        let mut revision = Revision(0);
        for _ in 0..20 {
            let appended = store.append(&stored(1, sequence, 5)).await;
            (revision, sequence) = (appended.expect("taken").revision, sequence + 1);
        }
        // The watch does not end: nodes that break off are left unnoticed.
        assert_eq!(reader.follow(&client, revision).await, 0);
        let (now, then) = if round % 2 == 0 { (0, 1) } else { (1, 0) };
        let broken = if round % 3 == 0 {
            Mode::Silent
        } else {
            Mode::Cut
        };
        proxies[then].set(Mode::Pass);
        proxies[now].set(broken);
    }
    assert_eq!(reader.snapshots, 1);
    let mut fresh = Reader::new(store.as_ref());
    fresh.follow(store.as_ref(), store.revision()).await;
    assert_eq!(reader.held, fresh.held);
    let connects = "kvatlas_store_client_watch_connects_total{result=\"ok\"}";
    assert!(metric(&registry, connects) >= 10.0, "it moved every round");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_and_silent_nodes_are_passed_over() {
    let store = embedded();
    let node = Node::of(&store).await;
    let revision = store
        .append(&stored(1, 0, 3))
        .await
        .expect("taken")
        .revision;
    let silent = Proxy::to(node.address, Mode::Silent).await;
    let (_held, nobody) = dead();
    for _ in 0..6 {
        let client = client(vec![nobody.clone(), silent.address.clone(), node.address()]);
        let mut reader = Reader::new(&client);
        assert_eq!(reader.follow(&client, revision).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_clients_begin_at_different_nodes() {
    let store = embedded();
    let node = Node::of(&store).await;
    let mut proxies = Vec::new();
    for _ in 0..3 {
        proxies.push(Proxy::to(node.address, Mode::Pass).await);
    }
    let addresses: Vec<_> = proxies.iter().map(|proxy| proxy.address.clone()).collect();
    for _ in 0..60 {
        let client = client(addresses.clone());
        Reader::new(&client).step().await.expect("a first item");
    }
    for proxy in &proxies {
        // By chance, one in 10^10 runs.
        assert!(proxy.connections() > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draining_node_is_left_for_another() {
    let store = embedded();
    let nodes = [Node::of(&store).await, Node::of(&store).await];
    let client = client(nodes.iter().map(Node::address).collect());
    let mut reader = Reader::new(&client);
    let first = store
        .append(&stored(1, 0, 3))
        .await
        .expect("taken")
        .revision;
    reader.follow(&client, first).await;
    let watches = "kvatlas_store_server_watches";
    let serving = usize::from(nodes[0].metric(watches) == 0.0);
    nodes[serving].service.drain();
    let second = store
        .append(&stored(1, 1, 3))
        .await
        .expect("taken")
        .revision;
    assert_eq!(reader.follow(&client, second).await, 0);
    assert_eq!(reader.snapshots, 1);
    assert_eq!(nodes[1 - serving].metric(watches), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_node_the_watch_ends_and_may_be_taken_up_again() {
    let store = embedded();
    let node = Node::of(&store).await;
    let proxy = Proxy::to(node.address, Mode::Pass).await;
    let mut options = RemoteOptions::new(vec![proxy.address.clone()]);
    options.watch_patience = Duration::from_millis(200);
    let client = RemoteStore::connect(options).expect("valid");
    let mut reader = Reader::new(&client);
    let first = store
        .append(&stored(1, 0, 3))
        .await
        .expect("taken")
        .revision;
    reader.follow(&client, first).await;
    proxy.set(Mode::Cut);
    let error = loop {
        if let Err(error) = reader.step().await {
            break error;
        }
    };
    assert!(matches!(error, WatchError::Unavailable { .. }), "{error}");
    proxy.set(Mode::Pass);
    let second = store
        .append(&stored(1, 1, 3))
        .await
        .expect("taken")
        .revision;
    reader.resume(&client);
    reader.follow(&client, second).await;
    assert_eq!(reader.snapshots, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_breaks_off_is_told() {
    let (writer, _) = Follower::of(None);
    let endless = Flood::with_endless_snapshot();
    let node = Node::start(&writer, &endless, Default::default()).await;
    let proxy = Proxy::to(node.address, Mode::Pass).await;
    let client = client(vec![proxy.address.clone()]);
    let mut reader = Reader::new(&client);
    for _ in 0..2 {
        reader.step().await.expect("the beginning, and a piece");
    }
    proxy.set(Mode::Cut);
    let error = reader.step().await.expect_err("the rest cannot come");
    let broke_off =
        matches!(&error, WatchError::Unavailable { reason } if reason.contains("broke off"));
    assert!(broke_off, "{error}");
    assert_eq!(reader.at, None);
}
