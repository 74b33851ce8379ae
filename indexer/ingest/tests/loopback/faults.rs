//! What strangers and broken publishers may send, and what must not happen.

use std::io::{Read, Write};
use std::net::TcpStream;

use proto_model::Trust;
use serde_json::json;

use crate::engine::{Engine, Peers};
use crate::support::{Rig, bound, eventually};

/// A greeting and a READY as a PUB socket would send them.
fn handshake() -> Vec<u8> {
    let mut bytes = vec![0_u8; 64];
    bytes[0] = 0xff;
    bytes[9] = 0x7f;
    bytes[10] = 3;
    bytes[12..16].copy_from_slice(b"NULL");
    bytes.extend_from_slice(b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB");
    bytes
}

async fn open(peers: &mut Peers, engine: &Engine, rig: &Rig) {
    let open = json!({
        "op": "open", "name": engine.name, "topic": engine.topic(), "connect": rig.address(),
    });
    peers.call(&open).await;
    peers
        .call(&json!({ "op": "await_subscriber", "name": engine.name }))
        .await;
}

#[tokio::test]
async fn strangers_end_only_their_own_connections() {
    let rig = Rig::start(bound()).await;
    let address = rig.ingestor.bound_addresses()[0];
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("good", 1);
    open(&mut peers, &engine, &rig).await;
    engine.store(&mut peers, true).await;

    let huge = |length: u64| {
        let mut bytes = handshake();
        bytes.push(2);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes
    };
    let mut endless = handshake();
    endless.extend_from_slice(&[1, 0].repeat(1000));
    let mut wrong_type = handshake();
    let end = wrong_type.len() - 3;
    wrong_type[end..].copy_from_slice(b"REP");
    let mut old = handshake();
    old[10] = 1;
    let attacks: [(&str, Vec<u8>); 8] = [
        ("greeting", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("greeting", old),
        ("truncated", handshake()[..70].to_vec()),
        ("socket_type", wrong_type),
        ("too_large", huge(1 << 46)),
        ("too_large", huge(u64::MAX)),
        ("too_large", endless),
        ("protocol", [handshake(), vec![0xf8, 0xff]].concat()),
    ];
    for (label, bytes) in attacks {
        let name = format!("kvatlas_ingest_connection_errors_total{{kind=\"{label}\"}}");
        let before = rig.metric(&name);
        let mut stream = TcpStream::connect(address).expect("listening");
        // The peer may hang up before it has taken everything.
        stream.write_all(&bytes).ok();
        stream.shutdown(std::net::Shutdown::Write).ok();
        let counted = || async { rig.metric(&name) > before };
        eventually(counted, || format!("{label} is counted")).await;
    }
    engine.store(&mut peers, true).await;
    rig.expect(&engine, Trust::Exact).await;
    assert!(rig.ingestor.ready());
}

#[tokio::test]
async fn heartbeats_are_answered() {
    let rig = Rig::start(bound()).await;
    let mut stream = TcpStream::connect(rig.ingestor.bound_addresses()[0]).expect("listening");
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(20)))
        .expect("set");
    let ping = [handshake(), b"\x04\x0a\x04PING\x00\x64abc".to_vec()].concat();
    let seen = tokio::task::spawn_blocking(move || {
        stream.write_all(&ping).expect("written");
        let mut seen = Vec::new();
        let mut piece = [0; 256];
        while !seen.windows(8).any(|window| window == b"\x04PONGabc") {
            let length = stream.read(&mut piece).expect("an answer in time");
            assert!(length > 0, "hung up");
            seen.extend_from_slice(&piece[..length]);
        }
        seen
    });
    assert!(seen.await.is_ok());
}

#[tokio::test]
async fn frames_that_name_no_message_are_refused_and_counted() {
    let rig = Rig::start(bound()).await;
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("frames", 1);
    open(&mut peers, &engine, &rig).await;
    engine.store(&mut peers, true).await;
    let topic = hex(engine.topic().as_bytes());
    let sequence = hex(&7_u64.to_be_bytes());
    let cases = [
        ("frame", vec![topic.clone()]),
        ("frame", vec![topic.clone(), sequence.clone()]),
        (
            "frame",
            vec![topic.clone(), sequence.clone(), "90".into(), "90".into()],
        ),
        ("frame", vec![topic.clone(), "0102".into(), "90".into()]),
        ("frame", vec![topic.clone(), hex(&[0xff; 8]), "90".into()]),
        (
            "frame",
            vec![hex(&[0xff, 0xfe]), sequence.clone(), "90".into()],
        ),
        (
            "unnamed",
            vec![String::new(), sequence.clone(), "90".into()],
        ),
        (
            "topic",
            vec![hex(b"other@x@m"), sequence.clone(), "90".into()],
        ),
        (
            "topic",
            vec![hex(b"kv@a b@m"), sequence.clone(), "90".into()],
        ),
        ("topic", vec![hex(b"kv@address"), sequence, "90".into()]),
    ];
    for (label, frames) in cases {
        let name = format!("kvatlas_ingest_decode_errors_total{{kind=\"{label}\"}}");
        let before = rig.metric(&name);
        peers
            .call(&json!({ "op": "raw", "name": engine.name, "frames": frames }))
            .await;
        let counted = || async { rig.metric(&name) == before + 1 };
        eventually(counted, || format!("{label} for {frames:?}")).await;
    }
    engine.store(&mut peers, true).await;
    rig.expect(&engine, Trust::Exact).await;
    assert_eq!(
        rig.ingestor.publishers().await.len(),
        1,
        "no publisher out of thin air"
    );
}

#[tokio::test]
async fn payloads_that_cannot_be_read_make_the_publisher_suspect() {
    for payload in [
        "",
        "c1",
        "01",
        // Times that are no numbers: a wrong time would be a clock's fault, not
        // the payload's, and is another test's matter.
        "93cb7ff8000000000000",
        "92cb7ff800000000000091a3666f6f",
    ] {
        let rig = Rig::start(bound()).await;
        let mut peers = Peers::start().await;
        let mut engine = Engine::new("payload", 1);
        open(&mut peers, &engine, &rig).await;
        engine.store(&mut peers, true).await;
        let bad = json!({ "op": "payload", "name": engine.name, "hex": payload });
        peers.call(&bad).await;
        engine.published += 1;
        engine.store(&mut peers, true).await;
        rig.expect(&engine, Trust::Suspect).await;
        let found = rig.ingestor.findings().list();
        assert!(
            found
                .iter()
                .any(|finding| finding.kind.as_str() == "unreadable"),
            "{payload}"
        );
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One live message as a PUB socket frames it, of at most 255 bytes a part.
fn live(topic: &str, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let parts: [(u8, &[u8]); 3] = [
        (1, topic.as_bytes()),
        (1, &sequence.to_be_bytes()),
        (0, payload),
    ];
    for (flags, part) in parts {
        bytes.extend([flags, u8::try_from(part.len()).expect("short")]);
        bytes.extend_from_slice(part);
    }
    bytes
}

/// An empty batch that was made at so many seconds.
fn batch(seconds: f64) -> Vec<u8> {
    [&b"\x92\xcb"[..], &seconds.to_be_bytes(), b"\x90"].concat()
}

#[tokio::test]
async fn sequences_at_the_end_of_their_range_stop_nothing() {
    let rig = Rig::start(bound()).await;
    let mut stream = TcpStream::connect(rig.ingestor.bound_addresses()[0]).expect("listening");
    let mut bytes = handshake();
    let topic = "kv@127.0.0.9:8000@m";
    let sent = [
        (u64::MAX - 1, 1e9),
        (u64::MAX, 2e9),
        (u64::MAX - 1, 3e9),
        (7, 4e9),
    ];
    for (sequence, seconds) in sent {
        bytes.extend(live(topic, sequence, &batch(seconds)));
    }
    stream.write_all(&bytes).expect("taken");
    let views = || async { rig.ingestor.publishers().await };
    let there = || async {
        let cursors: Vec<_> = views()
            .await
            .iter()
            .filter_map(|view| view.cursor)
            .collect();
        cursors.iter().any(|cursor| cursor.next == 8)
    };
    eventually(there, || "the last message is applied".to_owned()).await;
    assert_eq!(views().await[0].lost, u64::MAX);
    assert!(rig.ingestor.ready());
}

#[tokio::test]
async fn a_publisher_that_there_is_no_room_for_is_a_finding() {
    let mut config = bound();
    config.bounds.publishers = std::num::NonZeroUsize::MIN;
    let rig = Rig::start(config).await;
    let mut stream = TcpStream::connect(rig.ingestor.bound_addresses()[0]).expect("listening");
    let mut bytes = handshake();
    for number in 1..5 {
        let topic = format!("kv@127.0.0.{number}:8000@m");
        bytes.extend(live(&topic, 0, &batch(1e9)));
    }
    stream.write_all(&bytes).expect("taken");
    let refused = || async { rig.metric("kvatlas_ingest_messages_total{kind=\"refused\"}") == 3 };
    eventually(refused, || "three are refused".to_owned()).await;
    let found = rig.ingestor.findings().list();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].kind.as_str(), found[0].count), ("refused", 3));
    assert!(found[0].advice.contains("bounds.publishers"), "{found:?}");
}
