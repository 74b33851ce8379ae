//! What can be made to go wrong.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::StatusCode;
use serde_json::json;

use crate::client::{cached, chat, get, post, put_faults, send, start};
use loadtest_engine_sim::Faults;

const PATH: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_response_dies_after_some_tokens() {
    let engine = start().await;
    let at = engine.address();
    put_faults(at, json!({"die_after_tokens": 2})).await;
    let mut streaming = chat("hi", 9);
    streaming["stream"] = json!(true);
    for body in [streaming, chat("hi", 9)] {
        let response = send(at, "POST", PATH, body.to_string()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let end = response.into_body().collect().await;
        assert!(end.is_err(), "the connection is cut, not ended");
    }
    put_faults(at, json!({})).await;
    assert_eq!(post(at, PATH, &chat("hi", 9)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_frozen_engine_answers_nothing_until_it_thaws() {
    let engine = start().await;
    let at = engine.address();
    engine.set_faults(Faults {
        frozen: true,
        ..Faults::default()
    });
    let asked = tokio::spawn(async move { post(at, PATH, &chat("hi", 2)).await });
    let scraped = tokio::spawn(async move { get(at, "/metrics").await });
    // Longer than an answer takes; a slow machine makes this weaker, not wrong.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!asked.is_finished() && !scraped.is_finished());
    put_faults(at, json!({})).await;
    assert_eq!(asked.await.unwrap().0, StatusCode::OK);
    assert!(scraped.await.unwrap().contains("vllm:num_requests_running"));
}

#[tokio::test]
async fn a_refusing_engine_says_so_to_clients_and_probes_but_not_to_operators() {
    let engine = start().await;
    let at = engine.address();
    put_faults(at, json!({"refuse_status": 503})).await;
    for (method, path) in [("POST", PATH), ("GET", "/health")] {
        let response = send(at, method, path, "{}").await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(get(at, "/debug/faults").await.contains("503"));
}

#[tokio::test]
async fn faults_that_do_not_exist_are_refused() {
    let engine = start().await;
    for body in [json!({"explode": true}), json!({"refuse_status": 7})] {
        let response = send(engine.address(), "PUT", "/debug/faults", body.to_string()).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_restart_cuts_connections_and_empties_the_cache() {
    let engine = start().await;
    let at = engine.address();
    let long = "hi ".repeat(60);
    post(at, PATH, &chat(&long, 1)).await;
    assert!(cached(&post(at, PATH, &chat(&long, 1)).await.1) > 0);
    put_faults(at, json!({"hold_after_tokens": 1})).await;
    let mut held = chat("hold", 9);
    held["stream"] = json!(true);
    let held = send(at, "POST", PATH, held.to_string()).await;
    let restarted = send(at, "POST", "/debug/restart", "").await;
    assert_eq!(restarted.status(), StatusCode::NO_CONTENT);
    assert!(
        held.into_body().collect().await.is_err(),
        "cut by the restart"
    );
    put_faults(at, json!({})).await;
    assert_eq!(engine.stats().life, 2);
    assert_eq!(cached(&post(at, PATH, &chat(&long, 1)).await.1), 0);
}

#[tokio::test]
async fn a_slow_engine_waits_before_its_first_token() {
    let engine = start().await;
    let at = engine.address();
    put_faults(at, json!({"first_token_delay_ms": 150})).await;
    let began = std::time::Instant::now();
    assert_eq!(post(at, PATH, &chat("hi", 2)).await.0, StatusCode::OK);
    assert!(began.elapsed() >= Duration::from_millis(150));
}
