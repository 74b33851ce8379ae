//! Whatever an endpoint answers, the others' loads are read and nothing grows.

use std::time::Duration;

use super::super::ScrapeSettings;
use super::engine::{Answer, Engine, until, vllm};
use super::polls::{Pool, quick};

/// Expects failures of one kind from `answer`, while a second endpoint and,
/// later, the same one are read as usual.
async fn refuses(answer: Answer, kind: &str, settings: ScrapeSettings) {
    let hostile = Engine::new(answer).await;
    let sound = Engine::new(Answer::Text(vllm(1, 2, 0.5))).await;
    let pool = Pool::of(&[hostile.address, sound.address], settings);
    let failed = || {
        let failed = pool.loads.counters().failed;
        failed.iter().find(|(named, _)| *named == kind).unwrap().1
    };
    until(kind, || failed() >= 2).await;
    assert!(pool.loads.get(&hostile.address).is_none());
    until("the other's load", || {
        pool.loads.get(&sound.address).is_some()
    })
    .await;
    let all: u64 = pool.loads.counters().failed.iter().map(|(_, n)| n).sum();
    // Counters are read one after the other.
    assert!(all <= failed(), "{:?}", pool.loads.counters());

    hostile.answers(Answer::Text(vllm(3, 0, 0.0)));
    until("its own load", || {
        pool.loads.get(&hostile.address).is_some()
    })
    .await;
    until("no connection is left behind", || hostile.open() <= 1).await;
}

fn raw(text: &str) -> Answer {
    Answer::Raw(text.as_bytes().to_vec())
}

#[tokio::test]
async fn an_endless_body() {
    refuses(Answer::Endless(vec![b'x'; 65_536]), "too_long", quick()).await;
}

#[tokio::test]
async fn an_endless_body_of_short_lines() {
    let line = b"vllm:num_requests_waiting 1\n".repeat(1_000);
    refuses(Answer::Endless(line), "too_long", quick()).await;
}

#[tokio::test]
async fn silence() {
    let settings = ScrapeSettings {
        timeout: Duration::from_millis(200),
        ..quick()
    };
    // The sound endpoint may be late too on a busy machine, which is the same kind.
    refuses(Answer::Silence, "timed_out", settings).await;
}

#[tokio::test]
async fn an_endless_head() {
    let mut head = String::from("HTTP/1.1 200 OK\r\n");
    head.push_str(&"x-filler: 0123456789\r\n".repeat(100_000));
    refuses(raw(&head), "head", quick()).await;
}

#[tokio::test]
async fn no_http_at_all() {
    refuses(raw("\u{0}\u{1}SSH-2.0-OpenSSH\r\n\r\n"), "head", quick()).await;
}

#[tokio::test]
async fn a_connection_that_closes_at_once() {
    refuses(raw(""), "head", quick()).await;
}

#[tokio::test]
async fn a_body_that_breaks_off() {
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n{}",
        vllm(1, 1, 0.1)
    );
    refuses(raw(&text), "body", quick()).await;
}

#[tokio::test]
async fn another_page() {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<html>hello</html>";
    refuses(raw(page), "missing", quick()).await;
}

#[tokio::test]
async fn numbers_beyond_reason() {
    let text = vllm(1, 1, 0.1).replace(" 1.0", " 1e400");
    refuses(
        raw(&format!("HTTP/1.1 200 OK\r\n\r\n{text}")),
        "value",
        quick(),
    )
    .await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Engine::new(Answer::Text(vllm(9, 9, 0.9))).await;
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{}/metrics\r\ncontent-length: 0\r\n\r\n",
        elsewhere.address
    );
    refuses(raw(&redirect), "status", quick()).await;
    assert_eq!(elsewhere.requests(), 0);
}

#[tokio::test]
async fn nobody_listens() {
    let sound = Engine::new(Answer::Text(vllm(1, 2, 0.5))).await;
    // Bound and never listening: nothing else can take the port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = socket.local_addr().unwrap();
    let pool = Pool::of(&[closed, sound.address], quick());
    let count = |kind| {
        let failed = pool.loads.counters().failed;
        failed.iter().find(|(named, _)| *named == kind).unwrap().1
    };
    until("refused", || count("connect") >= 2).await;
    until("the other's load", || {
        pool.loads.get(&sound.address).is_some()
    })
    .await;
    assert!(pool.loads.failures(&closed) >= 1);
}

#[tokio::test]
async fn an_address_with_a_zone_is_refused_in_words() {
    let zoned = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 8000, 0, 2).into();
    let pool = Pool::of(&[zoned], quick());
    until("refused", || pool.loads.failures(&zoned) > 0).await;
    assert_eq!(pool.loads.counters().failed[0].0, "address");
    assert!(pool.loads.counters().failed[0].1 > 0);
}
