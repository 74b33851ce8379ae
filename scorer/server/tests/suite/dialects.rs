//! Dynamo's and Mooncake's requests and replies.

use crate::common::http::{get, local_hashes, post, two_instances};
use crate::common::{publisher, space, stored, tokens};
use axum::http::StatusCode;
use proto_model::{ContentChain, LocalHash, Medium};
use serde_json::{Value, json};

fn dynamo_reply() -> Value {
    json!({
        "scores": {"1": {"0": 32}},
        "frequencies": [1, 1],
        "instances": {
            "1": {"longest_matched": 48, "gpu": 32, "dp": {"0": 32}, "cpu": 48, "disk": 48}
        }
    })
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
        (StatusCode::OK, json!({}))
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
