//! KV events over real sockets: order, replay, restarts, subscribers that come
//! back.

use std::net::SocketAddr;

use bytes::Bytes;
use serde_json::json;
use zeromq::{DealerSocket, Endpoint, Socket, SocketRecv, SocketSend, SubSocket, ZmqMessage};

use crate::client::{LIMIT, chat, config, post, put_faults, send};
use loadtest_engine_sim::engine::Generation;
use loadtest_engine_sim::{EngineSim, EventsEndpoint, SimConfig};

const PATH: &str = "/v1/chat/completions";
const LONG: &str = "hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi";

async fn subscriber(address: &str) -> (SubSocket, String) {
    let mut socket = SubSocket::new();
    let bound = socket.bind(address).await.unwrap();
    socket.subscribe("kv@").await.unwrap();
    let Endpoint::Tcp(_, port) = bound else {
        unreachable!("a TCP address was bound");
    };
    (socket, format!("tcp://127.0.0.1:{port}"))
}

async fn engine(events: EventsEndpoint) -> EngineSim {
    let config = SimConfig {
        events: Some(events),
        replay: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        ..config()
    };
    EngineSim::start(config).await.unwrap()
}

/// Topic, sequence and payload of the next message.
async fn next(socket: &mut impl SocketRecv) -> (String, u64, Bytes) {
    let message = tokio::time::timeout(LIMIT, socket.recv()).await;
    let frames = message.expect("a message in time").unwrap().into_vec();
    let [topic, sequence, payload] = <[Bytes; 3]>::try_from(frames).unwrap();
    let sequence = u64::from_be_bytes(sequence.as_ref().try_into().unwrap());
    (
        String::from_utf8(topic.to_vec()).unwrap(),
        sequence,
        payload,
    )
}

/// All that a replay from a sequence gives, before its end mark.
async fn replay(address: SocketAddr, start: u64) -> Vec<(u64, Bytes)> {
    let mut dealer = DealerSocket::new();
    dealer.connect(&format!("tcp://{address}")).await.unwrap();
    let mut request = ZmqMessage::from(Bytes::new());
    request.push_back(Bytes::copy_from_slice(&start.to_be_bytes()));
    dealer.send(request).await.unwrap();
    let mut all = Vec::new();
    loop {
        let message = tokio::time::timeout(LIMIT, dealer.recv()).await;
        let frames = message.expect("a frame in time").unwrap().into_vec();
        let [.., sequence, payload] = frames.as_slice() else {
            unreachable!("a replay has two frames at least");
        };
        let sequence = u64::from_be_bytes(sequence.as_ref().try_into().unwrap());
        if sequence == u64::MAX {
            return all;
        }
        all.push((sequence, payload.clone()));
    }
}

#[tokio::test]
async fn what_is_published_can_be_replayed() {
    let (mut subscriber, address) = subscriber("tcp://127.0.0.1:0").await;
    let engine = engine(EventsEndpoint::Connect(address)).await;
    engine.subscribed().await;
    let mut seen = Vec::new();
    for text in [LONG.to_owned(), format!("other {LONG}")] {
        post(engine.address(), PATH, &chat(&text, 1)).await;
        let (topic, sequence, payload) = next(&mut subscriber).await;
        assert_eq!(topic, format!("kv@{}@Qwen3-32B", engine.address()));
        seen.push((sequence, payload));
    }
    assert_eq!(
        seen.iter()
            .map(|(sequence, _)| *sequence)
            .collect::<Vec<_>>(),
        [0, 1]
    );
    let from = engine.replay_address().unwrap();
    assert_eq!(replay(from, 0).await, seen);
    assert_eq!(replay(from, 1).await, seen[1..]);
}

#[tokio::test]
async fn a_silent_engine_leaves_a_gap_that_a_replay_fills() {
    let (mut subscriber, address) = subscriber("tcp://127.0.0.1:0").await;
    let engine = engine(EventsEndpoint::Connect(address)).await;
    engine.subscribed().await;
    put_faults(engine.address(), json!({"silent": true})).await;
    post(engine.address(), PATH, &chat(LONG, 1)).await;
    put_faults(engine.address(), json!({})).await;
    post(engine.address(), PATH, &chat(&format!("other {LONG}"), 1)).await;
    assert_eq!(next(&mut subscriber).await.1, 1, "0 was not sent");
    let all = replay(engine.replay_address().unwrap(), 0).await;
    assert_eq!(all.len(), 2);
}

#[tokio::test]
async fn a_new_life_counts_from_zero_on_the_same_ports() {
    let bind = EventsEndpoint::Bind(SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut newest = config();
    newest.engine.generation = Generation::V0_32;
    let config = SimConfig {
        events: Some(bind),
        replay: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        ..newest
    };
    let engine = EngineSim::start(config).await.unwrap();
    assert_ne!(engine.events_address().unwrap().port(), 0);
    for life in 1..=2 {
        post(engine.address(), PATH, &chat(LONG, 1)).await;
        post(engine.address(), PATH, &chat(&format!("other {LONG}"), 1)).await;
        let all = replay(engine.replay_address().unwrap(), 0).await;
        let numbers: Vec<_> = all.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(numbers, [0, 1], "life {life}");
        engine.restart().await.unwrap();
    }
    assert_eq!(engine.stats().sequence, 0);
}

#[tokio::test]
async fn a_subscriber_that_comes_back_is_found_again() {
    let (first, address) = subscriber("tcp://127.0.0.1:0").await;
    let engine = engine(EventsEndpoint::Connect(address.clone())).await;
    engine.subscribed().await;
    first.close().await;
    crate::client::until("the end is noticed", || !engine.stats().subscribed).await;
    post(engine.address(), PATH, &chat(LONG, 1)).await;
    let (mut second, _) = subscriber(&address).await;
    engine.subscribed().await;
    post(engine.address(), PATH, &chat(&format!("other {LONG}"), 1)).await;
    assert_eq!(next(&mut second).await.1, 1, "0 came while nobody listened");
}

#[tokio::test]
async fn a_cleared_cache_is_told_with_the_next_step() {
    let (mut subscriber, address) = subscriber("tcp://127.0.0.1:0").await;
    let engine = engine(EventsEndpoint::Connect(address)).await;
    engine.subscribed().await;
    let at = engine.address();
    post(at, PATH, &chat(LONG, 1)).await;
    next(&mut subscriber).await;
    send(at, "POST", "/reset_prefix_cache", "").await;
    post(at, PATH, &chat(LONG, 1)).await;
    let (_, _, payload) = next(&mut subscriber).await;
    let text = String::from_utf8_lossy(&payload);
    let cleared = text.find("AllBlocksCleared").expect("told");
    assert!(cleared < text.find("BlockStored").expect("stored again"));
}
