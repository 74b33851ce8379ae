//! A server that is asked for more than it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proto_api::v1::store_client::StoreClient;
use proto_api::{AppendRequest, StoreFailure};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use indexer_store::EmbeddedStore;
use indexer_store_grpc::StoreLimits;

use super::batch::stored;
use super::node::{Node, PATIENCE, embedded};
use super::writers::Gated;

struct Gate {
    node: Node,
    store: Arc<EmbeddedStore>,
    gate: Arc<Semaphore>,
    entered: Arc<AtomicUsize>,
    client: StoreClient<Channel>,
}

async fn gate(limits: StoreLimits) -> Gate {
    let (store, gate) = (embedded(), Arc::new(Semaphore::new(0)));
    let entered = Arc::new(AtomicUsize::new(0));
    let writer = Gated {
        store: Arc::clone(&store),
        gate: Arc::clone(&gate),
        entered: Arc::clone(&entered),
    };
    let node = Node::start(&Arc::new(writer), &store, limits).await;
    let client = StoreClient::connect(format!("http://{}", node.address))
        .await
        .expect("connects");
    Gate {
        node,
        store,
        gate,
        entered,
        client,
    }
}

fn append(
    client: &StoreClient<Channel>,
    sequence: u64,
) -> tokio::task::JoinHandle<Result<u64, Status>> {
    let mut client = client.clone();
    tokio::spawn(async move {
        let answer = client
            .append(AppendRequest::of(&stored(1, sequence, 1)))
            .await?;
        Ok(answer.into_inner().revision)
    })
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn appends_beyond_the_places_wait_and_beyond_the_line_are_refused() {
    let limits = StoreLimits {
        appends_max: 2,
        appends_waiting_max: 1,
        ..StoreLimits::default()
    };
    let gate = gate(limits).await;
    let under_way = [append(&gate.client, 0), append(&gate.client, 1)];
    until("two are under way", || {
        gate.entered.load(Ordering::Relaxed) == 2
    })
    .await;
    // One of these waits, the others are refused, whichever comes first.
    let rest: Vec<_> = (2..5)
        .map(|sequence| append(&gate.client, sequence))
        .collect();
    let busy = "kvatlas_store_server_appends_total{result=\"busy\"}";
    until("two are refused", || gate.node.metric(busy) == 2.0).await;
    assert_eq!(gate.entered.load(Ordering::Relaxed), 2);
    gate.gate.add_permits(3);
    for task in under_way {
        task.await.expect("runs").expect("taken");
    }
    let mut refused = 0;
    for task in rest {
        if let Err(status) = task.await.expect("runs") {
            assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
            assert!(matches!(
                StoreFailure::from(&status),
                StoreFailure::Busy { .. }
            ));
            refused += 1;
        }
    }
    assert_eq!((refused, gate.store.stats().batches), (2, 3));
}

#[tokio::test]
async fn a_deadline_ends_the_answer_and_not_the_append() {
    let limits = StoreLimits {
        appends_max: 1,
        appends_waiting_max: 0,
        ..StoreLimits::default()
    };
    let mut gate = gate(limits).await;
    let mut request = Request::new(AppendRequest::of(&stored(1, 0, 1)));
    request.set_timeout(Duration::from_millis(100));
    let status = gate.client.append(request).await.expect_err("in time");
    assert!(
        matches!(
            StoreFailure::from(&status),
            StoreFailure::Unavailable { .. }
        ),
        "{status}"
    );
    until("the append began", || {
        gate.entered.load(Ordering::Relaxed) == 1
    })
    .await;
    // Its place is taken until it is done.
    let status = append(&gate.client, 1)
        .await
        .expect("runs")
        .expect_err("no place");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    gate.gate.add_permits(2);
    until("it is done", || gate.store.stats().batches == 1).await;
    let taken = async { while append(&gate.client, 1).await.expect("runs").is_err() {} };
    timeout(PATIENCE, taken)
        .await
        .expect("the place is free again");
    assert_eq!(gate.store.stats().batches, 2);
}

#[tokio::test]
async fn the_servers_own_deadline_counts_too() {
    let limits = StoreLimits {
        append_deadline: Duration::from_millis(50),
        ..StoreLimits::default()
    };
    let gate = gate(limits).await;
    let status = append(&gate.client, 0)
        .await
        .expect("runs")
        .expect_err("in time");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("not known"), "{status}");
}

#[tokio::test]
async fn a_draining_server_answers_what_it_has_taken_and_takes_no_more() {
    let gate = gate(StoreLimits::default()).await;
    let under_way = append(&gate.client, 0);
    until("it is under way", || {
        gate.entered.load(Ordering::Relaxed) == 1
    })
    .await;
    gate.node.service.drain();
    let status = append(&gate.client, 1)
        .await
        .expect("runs")
        .expect_err("draining");
    assert!(
        matches!(
            StoreFailure::from(&status),
            StoreFailure::Unavailable { .. }
        ),
        "{status}"
    );
    gate.gate.add_permits(1);
    let revision = under_way.await.expect("runs").expect("taken");
    assert_eq!(revision, gate.store.revision().0);
}
