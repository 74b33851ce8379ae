//! The HTTP routes, called without a socket.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use proto_model::{LocalHash, Medium};
use scorer_server::{InstanceNames, http_routes};
use serde_json::Value;
use tower::ServiceExt;

use super::{World, publisher, space, stored, tokens};

pub(crate) async fn send(routes: &Router, request: Request<Body>) -> (StatusCode, Value) {
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

pub(crate) async fn post(routes: &Router, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::post(path).body(Body::from(body.to_string()));
    send(routes, request.expect("valid")).await
}

pub(crate) async fn get(routes: &Router, path: &str) -> (StatusCode, Value) {
    send(
        routes,
        Request::get(path).body(Body::empty()).expect("valid"),
    )
    .await
}

/// Instance 1 holds two blocks on the GPU (rank 0) and a third on the CPU;
/// instance 2 holds nothing of it on rank 1.
pub(crate) async fn two_instances() -> (World, Router) {
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
pub(crate) fn local_hashes(tokens: &[u32]) -> Vec<u64> {
    tokens
        .chunks_exact(16)
        .map(|block| LocalHash::of(block, &[]).0)
        .collect()
}
