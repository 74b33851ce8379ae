//! Server-sent events, many at once, and clients that go away.

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::client::{LIMIT, chat, put_faults, send, start, text, until};

fn streaming(text: &str, max_tokens: usize) -> String {
    let mut body = chat(text, max_tokens);
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    body.to_string()
}

fn events(text: &str) -> Vec<Value> {
    let data = text.split("\n\n").filter(|event| !event.is_empty());
    let data = data.map(|event| event.strip_prefix("data: ").unwrap());
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!(data)))
        .collect()
}

/// Reads until so many tokens are there.
async fn read_tokens(response: &mut Response<Incoming>, tokens: usize) -> String {
    let mut seen = String::new();
    while seen.matches("\"content\":\" ").count() < tokens {
        let frame = tokio::time::timeout(LIMIT, response.body_mut().frame()).await;
        let frame = frame.expect("a frame in time").expect("no end").unwrap();
        seen.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
    seen
}

#[tokio::test]
async fn a_stream_is_role_tokens_usage_and_done() {
    let engine = start().await;
    let path = "/v1/chat/completions";
    let response = send(engine.address(), "POST", path, streaming("hi", 3)).await;
    assert_eq!(
        response.headers()["content-type"],
        "text/event-stream; charset=utf-8"
    );
    let events = events(&text(response).await);
    assert_eq!(events.len(), 6);
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    let reasons: Vec<_> = events[1..4]
        .iter()
        .map(|event| event["choices"][0]["finish_reason"].clone())
        .collect();
    assert_eq!(reasons, [Value::Null, Value::Null, json!("length")]);
    assert_eq!(events[4]["choices"], json!([]));
    assert_eq!(events[4]["usage"]["completion_tokens"], 3);
    assert_eq!(
        events[4]["usage"]["prompt_tokens_details"]["cached_tokens"],
        0
    );
    assert_eq!(events[5], "[DONE]");
}

#[tokio::test]
async fn a_held_stream_goes_on_when_it_is_released() {
    let engine = start().await;
    let at = engine.address();
    put_faults(at, json!({"hold_after_tokens": 2})).await;
    let mut response = send(at, "POST", "/v1/chat/completions", streaming("hi", 5)).await;
    let held = read_tokens(&mut response, 2).await;
    assert!(!held.contains("[DONE]"));
    put_faults(at, json!({})).await;
    let rest = text(response).await;
    assert_eq!(rest.matches("\"content\":\" ").count(), 3);
    assert!(rest.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_client_that_goes_away_frees_its_blocks() {
    let mut config = crate::client::config();
    config.speed = 1.0;
    let engine = loadtest_engine_sim::EngineSim::start(config).await.unwrap();
    let at = engine.address();
    let mut response = send(at, "POST", "/v1/chat/completions", streaming("hi", 30_000)).await;
    read_tokens(&mut response, 1).await;
    assert_eq!(engine.stats().running, 1);
    drop(response);
    until("the request is given up", || {
        let stats = engine.stats();
        stats.running == 0 && stats.kv_usage == 0.0
    })
    .await;
    until("it is remembered", || !engine.truth("r-1").is_empty()).await;
    assert!(!engine.truth("r-1")[0].complete);
}

#[tokio::test]
async fn a_thousand_streams_at_once() {
    let engine = start().await;
    let at = engine.address();
    put_faults(at, json!({"hold_after_tokens": 1})).await;
    let mut streams = Vec::new();
    for number in 0..1_000 {
        let body = streaming(&format!("stream {number}"), 4);
        streams.push(send(at, "POST", "/v1/chat/completions", body).await);
    }
    put_faults(at, json!({})).await;
    for stream in streams {
        assert!(text(stream).await.ends_with("data: [DONE]\n\n"));
    }
}
