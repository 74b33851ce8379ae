//! Many publishers on one bound socket, from libzmq and from the zeromq crate.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use proto_model::{LocalHash, Trust};
use serde_json::json;
use zeromq::{Socket, SocketSend, ZmqMessage};

use crate::engine::{Engine, Peers};
use crate::support::{Rig, bound, eventually};

/// 200, or as many as `KVATLAS_INGEST_PUBLISHERS` says (1,000 is the goal).
fn publishers() -> usize {
    #[expect(
        clippy::disallowed_methods,
        reason = "a larger run is for who asks for it"
    )]
    let asked = std::env::var("KVATLAS_INGEST_PUBLISHERS").ok();
    asked.and_then(|count| count.parse().ok()).unwrap_or(200)
}

#[tokio::test]
async fn many_publishers_share_a_socket() {
    let rig = Rig::start(bound()).await;
    let mut peers = Peers::start().await;
    let mut engines = Vec::new();
    for number in 0..publishers() {
        let engine = Engine::new(&format!("10.0.{}.{}", number / 250, number % 250), 1);
        let open = json!({
            "op": "open", "name": engine.name, "topic": engine.topic(), "connect": rig.address(),
        });
        peers.call(&open).await;
        engines.push(engine);
    }
    for engine in &engines {
        peers
            .call(&json!({ "op": "await_subscriber", "name": engine.name }))
            .await;
    }
    for round in 0..5 {
        for engine in &mut engines {
            engine.store(&mut peers, true).await;
            if round % 2 == 1 {
                engine.evict(&mut peers, true).await;
            }
        }
    }
    for engine in &engines {
        rig.expect_cursor(engine, Trust::Exact).await;
    }
    for engine in engines.iter().step_by(37) {
        rig.expect(engine, Trust::Exact).await;
    }
    let views = rig.ingestor.publishers().await;
    assert_eq!(views.len(), engines.len());
    assert!(
        views
            .iter()
            .all(|view| view.lag() == 0 && view.connections == 1)
    );
}

#[tokio::test]
async fn a_burst_beyond_the_queue_waits_in_the_sockets_and_loses_nothing() {
    let mut config = bound();
    config.bounds.queue_messages = NonZeroUsize::MIN;
    config.batching.messages = NonZeroUsize::MIN.saturating_add(99);
    let rig = Rig::start(config).await;
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("burst", 1);
    let open = json!({
        "op": "open", "name": engine.name, "topic": engine.topic(), "connect": rig.address(),
    });
    peers.call(&open).await;
    peers
        .call(&json!({ "op": "await_subscriber", "name": engine.name }))
        .await;
    let count = 20_000_u32;
    let burst = json!({ "op": "burst", "name": engine.name, "first": 1, "count": count });
    peers.call(&burst).await;
    engine.published = u64::from(count);
    engine.held = (1..=count)
        .map(|hash| (u64::from(hash), LocalHash::of(&[hash, 1, 2, 3], &[]).0))
        .collect();
    rig.expect(&engine, Trust::Exact).await;
    assert!(rig.metric("kvatlas_ingest_queue_waits_total") > 0);
}

#[tokio::test]
async fn the_zeromq_crate_is_understood_both_ways() {
    let rig = Rig::start(bound()).await;
    let mut publisher = zeromq::PubSocket::new();
    publisher.connect(&rig.address()).await.expect("connects");
    let heard = || async { rig.metric("kvatlas_ingest_connections") == 1 };
    eventually(heard, || "a connection".to_owned()).await;
    let engine = Engine::new("rust", 1);
    // A PUB drops what it sends before the subscription has reached it.
    for sequence in 0..3000_u64 {
        let frames = vec![
            Bytes::from(engine.topic()),
            Bytes::copy_from_slice(&sequence.to_be_bytes()),
            Bytes::from_static(b"\x93\xcb\x41\xda\x00\x00\x00\x00\x00\x00\x90\x00"),
        ];
        publisher
            .send(ZmqMessage::try_from(frames).expect("frames"))
            .await
            .expect("sends");
        tokio::time::sleep(Duration::from_millis(10)).await;
        if rig.cursor(&engine).is_some_and(|cursor| cursor.next > 3) {
            return;
        }
    }
    panic!("nothing arrived: {:?}", rig.cursor(&engine));
}
