//! The scorer's own HTTP routes, and its metrics.

use std::sync::Arc;

use crate::common::http::{get, local_hashes, post, send, two_instances};
use crate::common::{World, recorded_model, tokens};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use scorer_server::{InstanceNames, ModelConfig, ModelsConfig, ScorerLimits, http_routes};
use serde_json::json;

#[tokio::test]
async fn score_is_the_grpc_call_in_json() {
    let (_world, routes) = two_instances().await;
    let body = json!({
        "request_id": "7", "model": "llama-3-8b", "tokens": tokens(1, 49),
        "candidates": ["10.0.0.1", "10.0.0.9"], "weights": {"cpu": 0.5}
    });
    let (status, reply) = post(&routes, "/v1/score", body).await;
    assert_eq!(status, StatusCode::OK, "{reply}");
    let endpoint = &reply["endpoints"][0];
    assert_eq!(
        endpoint["by_medium"],
        json!({"gpu": 32, "cpu": 16, "disk": 0, "remote": 0})
    );
    assert_eq!(
        (&endpoint["reusable_tokens"], &endpoint["trust"]),
        (&json!(48), &json!("exact"))
    );
    assert_eq!(endpoint["score"], json!(40.0 / 49.0));
    assert_eq!(
        (&reply["request_id"], &reply["state"]),
        (&json!("7"), &json!("live"))
    );
    assert_eq!(reply["unknown_candidates"], json!(["10.0.0.9"]));
    let hash = format!("{:#x}", local_hashes(&tokens(1, 16))[0]);
    let keys = json!({"values": [hash], "form": "local"});
    let (status, reply) = post(
        &routes,
        "/v1/score",
        json!({"model": "llama-3-8b", "keys": keys}),
    )
    .await;
    assert_eq!(
        (status, &reply["endpoints"][0]["matched_blocks"]),
        (StatusCode::OK, &json!(1))
    );
}

#[tokio::test]
async fn a_chat_body_is_taken_as_it_is() {
    let model = ModelConfig {
        name: "m".to_owned(),
        source: Some(recorded_model()),
        ..ModelConfig::default()
    };
    let world = World::with(
        ModelsConfig {
            models: vec![model],
        },
        ScorerLimits::default(),
    )
    .await;
    let routes = http_routes(Arc::clone(&world.scorer), InstanceNames::default());
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let (status, reply) = post(&routes, "/v1/score", json!({"chat": chat})).await;
    assert_eq!(status, StatusCode::OK, "{reply}");
    assert!(
        reply["prompt_tokens"]
            .as_u64()
            .is_some_and(|tokens| tokens > 3)
    );
}

#[tokio::test]
async fn every_status_is_as_documented() {
    let (_world, routes) = two_instances().await;
    let cases = [
        (json!({"model": "nobody", "tokens": [1]}), 404, "not_found"),
        (
            json!({"model": "llama-3-8b", "tokens": []}),
            400,
            "invalid_argument",
        ),
        (
            json!({"model": "llama-3-8b", "tokens": [1], "text": "a"}),
            400,
            "invalid_argument",
        ),
        (
            json!({"model": "llama-3-8b", "tokens": [1], "surprise": 1}),
            400,
            "invalid_argument",
        ),
        (
            json!({"model": "llama-3-8b", "text": "a"}),
            409,
            "failed_precondition",
        ),
    ];
    for (body, status, code) in cases {
        let (seen, reply) = post(&routes, "/v1/score", body.clone()).await;
        assert_eq!(
            (seen.as_u16(), &reply["code"]),
            (status, &json!(code)),
            "{body}: {reply}"
        );
    }
    let text = "x".repeat(proto_api::limits::PROMPT_BYTES + 1);
    let (status, reply) = post(
        &routes,
        "/v1/score",
        json!({"model": "llama-3-8b", "text": text}),
    )
    .await;
    assert_eq!((status.as_u16(), &reply["field"]), (413, &json!("text")));
    for path in ["/v1/score", "/query", "/query_by_hash"] {
        let huge = Body::from(vec![b' '; proto_api::limits::MESSAGE_BYTES + 1]);
        let (status, reply) = send(&routes, Request::post(path).body(huge).expect("valid")).await;
        assert_eq!(
            (status.as_u16(), &reply["code"]),
            (413, &json!("too_large")),
            "{path}"
        );
    }
    let starting = World::unfollowed(ModelsConfig::default(), ScorerLimits::default());
    let not_ready = http_routes(Arc::clone(&starting.scorer), InstanceNames::default());
    let (status, reply) = post(
        &not_ready,
        "/v1/score",
        json!({"model": "m", "tokens": [1]}),
    )
    .await;
    assert_eq!(
        (status.as_u16(), &reply["code"]),
        (503, &json!("unavailable"))
    );
    let (status, reply) = post(&routes, "/register", json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(
        reply["error"]
            .as_str()
            .is_some_and(|text| text.contains("ingestor")),
        "{reply}"
    );
    let (status, reply) = get(&routes, "/query").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let told = json!({"error": "/query takes POST, not GET", "code": "method_not_allowed"});
    assert_eq!(reply, told);
    let (status, reply) = post(&routes, "/v1/stats", json!({})).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(reply["error"], "/v1/stats takes GET, not POST");
}

#[tokio::test]
async fn endpoints_and_stats_are_listed() {
    let (world, routes) = two_instances().await;
    let (status, page) = get(&routes, "/v1/endpoints?page_size=1").await;
    assert_eq!(
        (status, page["endpoints"].as_array().map(Vec::len)),
        (StatusCode::OK, Some(1))
    );
    assert_eq!(
        page["endpoints"][0]["blocks"],
        json!({"gpu": 2, "cpu": 3, "disk": 0, "remote": 0})
    );
    let token = page["next_page_token"]
        .as_str()
        .expect("a second page")
        .replace('#', "%23");
    let (_, page) = get(&routes, &format!("/v1/endpoints?page_token={token}")).await;
    assert_eq!(page["endpoints"][0]["address"], "10.0.0.2:8000");
    assert_eq!(page["next_page_token"], "");
    assert_eq!(
        get(&routes, "/v1/endpoints?page=1").await.0,
        StatusCode::BAD_REQUEST
    );
    let (_, stats) = get(&routes, "/v1/stats").await;
    assert_eq!(
        (&stats["publishers"], &stats["memberships"]),
        (&json!(2), &json!(6))
    );
    assert_eq!(stats["revision"], json!(world.store.revision().0));
    assert_eq!(stats["models"][0]["name"], "llama-3-8b");
}

#[tokio::test]
async fn metrics_count_every_way_and_result() {
    use prometheus_client::{encoding::text::encode, registry::Registry};
    let (world, routes) = two_instances().await;
    let mut registry = Registry::default();
    world.metrics.register(
        &mut registry,
        Arc::clone(world.scorer.scoring().replicas().first()),
    );
    world.scorer.scoring().register(&mut registry);
    post(
        &routes,
        "/v1/score",
        json!({"model": "llama-3-8b", "tokens": tokens(1, 49)}),
    )
    .await;
    post(
        &routes,
        "/v1/score",
        json!({"model": "nobody", "tokens": [1]}),
    )
    .await;
    post(
        &routes,
        "/query",
        json!({"model_name": "llama-3-8b", "token_ids": [1]}),
    )
    .await;
    let mut text = String::new();
    encode(&mut text, &registry).expect("encodes");
    let revision = format!("kvatlas_scorer_revision {}", world.store.revision().0);
    for line in [
        r#"kvatlas_scorer_requests_total{rpc="http_score",result="ok"} 1"#,
        r#"kvatlas_scorer_requests_total{rpc="http_score",result="not_found"} 1"#,
        r#"kvatlas_scorer_requests_total{rpc="http_query",result="ok"} 1"#,
        r#"kvatlas_scorer_request_seconds_count{rpc="http_score"} 2"#,
        "kvatlas_scorer_prompt_tokens_count 2",
        "kvatlas_scorer_in_flight 0",
        "kvatlas_scorer_token_cache_bytes 0",
        "kvatlas_scorer_token_cache_hits_total 0",
        "kvatlas_scorer_memberships 6",
        "kvatlas_scorer_replica_resets_total 1",
        "kvatlas_scorer_live 1",
        &revision,
    ] {
        assert!(
            text.lines().any(|seen| seen == line),
            "{line} not in\n{text}"
        );
    }
}
