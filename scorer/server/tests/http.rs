//! The HTTP routes, with the requests and replies of both foreign dialects.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use common::{World, publisher, recorded_model, space, stored, tokens};
use proto_model::{ContentChain, LocalHash, Medium};
use scorer_server::{InstanceNames, ModelConfig, ModelsConfig, ScorerLimits, http_routes};
use serde_json::{Value, json};
use tower::ServiceExt;

async fn send(routes: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = routes.clone().oneshot(request).await.expect("infallible");
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 16 << 20)
        .await
        .expect("whole body");
    (
        status,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

async fn post(routes: &Router, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::post(path).body(Body::from(body.to_string()));
    send(routes, request.expect("valid")).await
}

async fn get(routes: &Router, path: &str) -> (StatusCode, Value) {
    send(
        routes,
        Request::get(path).body(Body::empty()).expect("valid"),
    )
    .await
}

/// Instance 1 holds two blocks on the GPU (rank 0) and a third on the CPU;
/// instance 2 holds nothing of it on rank 1.
async fn two_instances() -> (World, Router) {
    let (world, space) = (World::new().await, space("llama-3-8b", None, 16));
    let prompt = tokens(1, 48);
    let one = publisher("east/10.0.0.1:8000", 0);
    let on_gpu = stored(&space, &prompt[..32], Medium::Gpu);
    let on_cpu = stored(&space, &prompt, Medium::Cpu);
    world.publish(&one, &space, vec![on_gpu, on_cpu]).await;
    let two = publisher("west/10.0.0.2:8000", 1);
    world
        .publish(
            &two,
            &space,
            vec![stored(&space, &tokens(9, 16), Medium::Gpu)],
        )
        .await;
    let ids = [
        (one.endpoint.clone(), "1".to_owned()),
        (two.endpoint.clone(), "2".to_owned()),
    ];
    let routes = http_routes(
        Arc::clone(&world.scorer),
        InstanceNames::new(BTreeMap::from(ids)),
    );
    (world, routes)
}

fn dynamo_reply() -> Value {
    json!({
        "scores": {"1": {"0": 32}, "2": {"1": 0}},
        "frequencies": [1, 1],
        "instances": {
            "1": {"longest_matched": 48, "gpu": 32, "dp": {"0": 32}, "cpu": 48, "disk": 48},
            "2": {"longest_matched": 0, "gpu": 0, "dp": {"1": 0}, "cpu": 0, "disk": 0}
        }
    })
}

fn local_hashes(tokens: &[u32]) -> Vec<u64> {
    tokens
        .chunks_exact(16)
        .map(|block| LocalHash::of(block, &[]).0)
        .collect()
}

#[tokio::test]
async fn dynamo_queries_by_tokens_and_by_local_hashes() {
    let (_world, routes) = two_instances().await;
    let body = json!({"token_ids": tokens(1, 48), "model_name": "llama-3-8b", "tenant_id": "x"});
    assert_eq!(
        post(&routes, "/query", body).await,
        (StatusCode::OK, dynamo_reply())
    );
    let signed: Vec<i64> = local_hashes(&tokens(1, 48))
        .into_iter()
        .map(u64::cast_signed)
        .collect();
    let body = json!({"block_hashes": signed, "model_name": "llama-3-8b"});
    assert_eq!(
        post(&routes, "/query_by_hash", body).await,
        (StatusCode::OK, dynamo_reply())
    );
}

#[tokio::test]
async fn mooncake_queries_by_tokens_and_by_rolling_hashes() {
    let (_world, routes) = two_instances().await;
    let expected = json!({"default": {
        "1": {"longest_matched": 48, "GPU": 32, "DP": {"0": 32}, "CPU": 48, "DISK": 48},
        "2": {"longest_matched": 0, "GPU": 0, "DP": {"1": 0}, "CPU": 0, "DISK": 0}
    }});
    let body =
        json!({"model": "llama-3-8b", "token_ids": tokens(1, 50), "block_size": 16, "lora_id": -1});
    assert_eq!(
        post(&routes, "/query", body).await,
        (StatusCode::OK, expected.clone())
    );
    let mut chain = ContentChain::root();
    let rolling: Vec<u64> = local_hashes(&tokens(1, 48))
        .into_iter()
        .map(|l| chain.push(LocalHash(l)))
        .collect();
    for field in ["seq_hashes", "block_hash"] {
        let body = json!({"model": "llama-3-8b", field: rolling, "block_size": 16});
        assert_eq!(
            post(&routes, "/query_by_hash", body).await,
            (StatusCode::OK, expected.clone())
        );
    }
    let one = json!({"model": "llama-3-8b", "seq_hashes": rolling, "block_size": 16,
        "instance_id": "1", "tenant_id": "east"});
    let (status, reply) = post(&routes, "/query_by_hash", one).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(reply, json!({"east": {"1": expected["default"]["1"]}}));
}

#[tokio::test]
async fn groups_are_clusters_and_nobody_is_told_in_each_dialect() {
    let (_world, routes) = two_instances().await;
    let query =
        |group: &str| json!({"token_ids": [1], "model_name": "llama-3-8b", "routing_group": group});
    let (status, reply) = post(&routes, "/query", query("west")).await;
    assert_eq!(
        (status, reply["scores"].clone()),
        (StatusCode::OK, json!({"2": {"1": 0}}))
    );
    assert_eq!(
        post(&routes, "/query", query("north")).await.0,
        StatusCode::NOT_FOUND
    );
    let unknown = json!({"token_ids": [1], "model_name": "nobody"});
    assert_eq!(
        post(&routes, "/query", unknown).await.0,
        StatusCode::NOT_FOUND
    );
    for (model, size) in [("nobody", 16), ("llama-3-8b", 64)] {
        let by_tokens = json!({"model": model, "token_ids": [1], "block_size": size});
        let by_hash = json!({"model": model, "seq_hashes": [1], "block_size": size});
        for (path, body) in [("/query", by_tokens), ("/query_by_hash", by_hash)] {
            assert_eq!(
                post(&routes, path, body).await,
                (StatusCode::OK, json!({"default": {}}))
            );
        }
    }
}

#[tokio::test]
async fn what_cannot_be_exact_is_refused_with_the_reason() {
    let (world, routes) = two_instances().await;
    let tuned = space("llama-3-8b", Some("tuned"), 16);
    let changes = vec![stored(&tuned, &tokens(3, 16), Medium::Gpu)];
    world
        .publish(&publisher("10.0.0.3", 0), &tuned, changes)
        .await;
    let cases = [
        (
            "/query_by_hash",
            json!({"block_hashes": [1], "model_name": "llama-3-8b", "cache_salt": "s"}),
            "cache_salt",
        ),
        (
            "/query_by_hash",
            json!({"block_hashes": [1], "model_name": "llama-3-8b", "lora_name": "x"}),
            "lora_name",
        ),
        (
            "/query_by_hash",
            json!({"block_hashes": [1], "model_name": "tuned"}),
            "model_name",
        ),
        (
            "/query_by_hash",
            json!({"seq_hashes": [1], "model": "m", "block_size": 16, "cache_salt": "s"}),
            "cache_salt",
        ),
        (
            "/query_by_hash",
            json!({"token_ids": [1], "model_name": "m"}),
            "block_hashes",
        ),
        (
            "/query",
            json!({"block_hashes": [1], "model_name": "m"}),
            "token_ids",
        ),
        ("/query", json!({"token_ids": [1]}), "model"),
        (
            "/query",
            json!({"token_ids": [1], "model": "m", "model_name": "m"}),
            "model",
        ),
        (
            "/query",
            json!({"token_ids": [1], "model": "m"}),
            "block_size",
        ),
        (
            "/query",
            json!({"token_ids": [-1], "model_name": "m"}),
            "body",
        ),
        (
            "/query",
            json!({"token_ids": [1], "model_name": "m", "lora_name": "a", "lora_id": 1}),
            "lora_id",
        ),
    ];
    for (path, body, field) in cases {
        let (status, reply) = post(&routes, path, body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(reply["field"], field, "{body}: {reply}");
        assert_eq!(reply["code"], "invalid_argument");
        assert!(
            reply["error"].as_str().is_some_and(|text| text.len() > 20),
            "{reply}"
        );
    }
    let lora =
        json!({"token_ids": tokens(3, 16), "model_name": "llama-3-8b", "lora_name": "tuned"});
    let (status, reply) = post(&routes, "/query", lora).await;
    assert_eq!(
        (status, &reply["scores"]["10.0.0.3"]["0"]),
        (StatusCode::OK, &json!(16))
    );
}

#[tokio::test]
async fn workers_are_listed_in_dynamos_shape() {
    let (_world, routes) = two_instances().await;
    let (status, reply) = get(&routes, "/workers?model_name=llama-3-8b&routing_group=west").await;
    let listener = json!({"endpoint": "10.0.0.2:8000", "status": "active"});
    let expected = json!([{
        "instance_id": "2", "source": "zmq", "status": "active", "model_name": "llama-3-8b",
        "routing_group": "west", "block_size": 16,
        "endpoints": {"1": "10.0.0.2:8000"}, "listeners": {"1": listener}
    }]);
    assert_eq!((status, reply), (StatusCode::OK, expected));
    assert_eq!(get(&routes, "/workers?model_name=other").await.1, json!([]));
}

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
    assert_eq!(
        get(&routes, "/query").await.0,
        StatusCode::METHOD_NOT_ALLOWED
    );
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
    world
        .metrics
        .register(&mut registry, Arc::clone(world.scorer.scoring().replica()));
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
