//! Appends that do not succeed at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indexer_store::{AppendError, IndexWriter};
use indexer_store_grpc::{OptionsError, RemoteOptions, RemoteStore, StoreLimits};
use prometheus_client::registry::Registry;

use super::batch::stored;
use super::node::{Node, dead, embedded, metric, remote};
use super::proxy::{Mode, Proxy};
use super::writers::{Closed, Follower, Forgetful};

#[tokio::test]
async fn a_hint_is_followed_to_a_stranger_and_remembered() {
    let store = embedded();
    let leader = Node::of(&store).await;
    let (follower, asked) = Follower::of(Some(leader.address()));
    let follower = Node::start(&follower, &store, StoreLimits::default()).await;
    let client = remote(&[follower.address()]);
    let mut registry = Registry::default();
    client.register(&mut registry);
    for sequence in 0..5 {
        let appended = client.append(&stored(1, sequence, 3)).await.expect("taken");
        assert_eq!(appended.revision, store.revision());
        assert_eq!(appended.outcomes[0].applied, 1);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1, "asked once, then known");
    assert_eq!(
        metric(&registry, "kvatlas_store_client_append_redirects_total"),
        1.0
    );
    let ok = "kvatlas_store_client_appends_total{result=\"ok\"}";
    assert_eq!(metric(&registry, ok), 5.0);
    let refused = "kvatlas_store_server_appends_total{result=\"not_leader\"}";
    assert_eq!(follower.metric(refused), 1.0);
}

#[tokio::test]
async fn nodes_that_name_each_other_end_as_unavailable() {
    let store = embedded();
    let first = Proxy::to(([127, 0, 0, 1], 1).into(), Mode::Cut).await;
    let (second, asked) = Follower::of(Some(first.address.clone()));
    let second = Node::start(&second, &store, StoreLimits::default()).await;
    let mut options = RemoteOptions::new(vec![second.address()]);
    options.append_deadline = Duration::from_millis(300);
    let client = RemoteStore::connect(options).expect("valid");
    let error = client
        .append(&stored(1, 0, 1))
        .await
        .expect_err("no leader");
    assert!(matches!(error, AppendError::Unavailable { .. }), "{error}");
    assert!(error.retryable());
    let (asked, connections) = (asked.load(Ordering::Relaxed), first.connections());
    assert!(asked >= 1 && connections >= 1, "both were tried");
    assert!(
        asked < 100 && connections < 100,
        "with pauses: {asked}, {connections}"
    );
    assert_eq!(store.stats().batches, 0);
}

#[tokio::test]
async fn dead_and_silent_addresses_are_passed_over() {
    let store = embedded();
    let node = Node::of(&store).await;
    let silent = Proxy::to(node.address, Mode::Silent).await;
    let (_held, nobody) = dead();
    let addresses = vec![nobody, silent.address.clone(), node.address()];
    // Clients begin at different nodes; some of these begin at each.
    for sequence in 0..12 {
        let mut options = RemoteOptions::new(addresses.clone());
        options.append_attempt = Duration::from_millis(300);
        options.append_deadline = Duration::from_secs(60);
        let client = RemoteStore::connect(options).expect("valid");
        let appended = client.append(&stored(1, sequence, 1)).await.expect("taken");
        assert_eq!(appended.outcomes.len(), 1);
    }
    assert_eq!(store.stats().batches, 12);
}

#[tokio::test]
async fn a_batch_whose_outcome_is_unknown_is_sent_again_as_it_is() {
    let store = embedded();
    let writer = Arc::new(Forgetful {
        store: Arc::clone(&store),
        asked: AtomicUsize::new(0),
    });
    let node = Node::start(&writer, &store, StoreLimits::default()).await;
    let client = remote(&[node.address()]);
    let appended = client.append(&stored(1, 0, 4)).await.expect("taken");
    let outcome = appended.outcomes[0];
    assert_eq!(
        (outcome.applied, outcome.duplicates),
        (0, 1),
        "the second time"
    );
    assert_eq!(store.stats().batches, 2);
}

#[tokio::test]
async fn a_closed_node_is_not_the_end_of_the_store() {
    let store = embedded();
    let closed = Node::start(&Arc::new(Closed), &store, StoreLimits::default()).await;
    let node = Node::of(&store).await;
    for sequence in 0..6 {
        let client = remote(&[closed.address(), node.address()]);
        client.append(&stored(1, sequence, 1)).await.expect("taken");
    }
    let mut options = RemoteOptions::new(vec![closed.address()]);
    options.append_deadline = Duration::from_millis(100);
    let client = RemoteStore::connect(options).expect("valid");
    let error = client.append(&stored(1, 9, 1)).await.expect_err("closed");
    assert!(
        matches!(&error, AppendError::Unavailable { reason } if reason.contains("disk")),
        "{error}"
    );
}

#[tokio::test]
async fn too_large_is_final_wherever_it_is_noticed() {
    let store = embedded();
    let limits = StoreLimits {
        batch_bytes_max: 10_000,
        ..StoreLimits::default()
    };
    let node = Node::start(&store, &store, limits).await;
    let too_large = |error: AppendError| match error {
        AppendError::TooLarge { bytes, limit } => assert!(bytes > limit, "{bytes} > {limit}"),
        error => panic!("expected too large: {error}"),
    };
    // By the server, which reads no more than it may; by the client; by the store.
    let client = remote(&[node.address()]);
    too_large(
        client
            .append(&stored(1, 0, 1_000))
            .await
            .expect_err("large"),
    );
    let mut options = RemoteOptions::new(vec![node.address()]);
    options.batch_bytes_max = 5_000;
    let client = RemoteStore::connect(options).expect("valid");
    too_large(client.append(&stored(1, 0, 500)).await.expect_err("large"));
    let roomy = Node::start(
        &store,
        &store,
        StoreLimits {
            batch_bytes_max: 64 << 20,
            ..StoreLimits::default()
        },
    )
    .await;
    let mut options = RemoteOptions::new(vec![roomy.address()]);
    options.batch_bytes_max = 64 << 20;
    let client = RemoteStore::connect(options).expect("valid");
    too_large(
        client
            .append(&stored(1, 0, 500_000))
            .await
            .expect_err("large"),
    );
    assert_eq!(store.stats().batches, 0);
}

#[test]
fn options_that_cannot_work_are_told_by_name() {
    let with = |change: fn(&mut RemoteOptions)| {
        let mut options = RemoteOptions::new(vec!["node-1.store.svc:7400".to_owned()]);
        change(&mut options);
        RemoteStore::connect(options).map(|_| ())
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert_eq!(
        with(|options| options.addresses.clear()),
        Err(OptionsError::NoAddress)
    );
    for address in [
        "",
        "node",
        ":7400",
        "node:0",
        "node:x",
        "node:70000",
        "no de:1",
    ] {
        let options = RemoteOptions::new(vec![address.to_owned()]);
        let error = RemoteStore::connect(options).expect_err(address);
        assert!(matches!(error, OptionsError::Address { .. }), "{error}");
    }
    let error = with(|options| options.append_attempt = Duration::ZERO);
    assert_eq!(error, Err(OptionsError::Zero("append_attempt")));
    let error = with(|options| options.backoff_max = Duration::from_millis(1));
    assert!(matches!(error, Err(OptionsError::Backoff { .. })));
}
