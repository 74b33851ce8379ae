//! A client that shows what is on the wire.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use loadtest_engine_sim::engine::EngineConfig;
use loadtest_engine_sim::{EngineSim, SimConfig, Tokenizer};
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// How long anything may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

static TOKENIZER: LazyLock<Arc<Tokenizer>> = LazyLock::new(|| {
    let file = "../../testdata/vllm/model/tokenizer.json";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    Arc::new(Tokenizer::from_file(&file).unwrap())
});

/// An engine that waits for nothing, with small blocks.
pub(crate) fn config() -> SimConfig {
    SimConfig {
        engine: EngineConfig {
            block_size: 16,
            kv_tokens: 64_000,
            max_model_len: 32_768,
            ..EngineConfig::default()
        },
        tokenizer: Arc::clone(&TOKENIZER),
        speed: 0.0,
        ..SimConfig::default()
    }
}

pub(crate) async fn start() -> EngineSim {
    EngineSim::start(config()).await.unwrap()
}

/// A chat request of one user message.
pub(crate) fn chat(text: &str, max_tokens: usize) -> Value {
    json!({
        "model": "Qwen3-32B", "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": text}],
    })
}

/// Sends a request and gives the response's head; its body follows.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: impl Into<Bytes>,
) -> Response<Incoming> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "engine")
        .header("content-type", "application/json")
        .header("x-request-id", "r-1")
        .body(Full::new(body.into()))
        .unwrap();
    let response = tokio::time::timeout(LIMIT, sender.send_request(request)).await;
    response.expect("an answer in time").unwrap()
}

/// Sends a body and gives status and JSON.
pub(crate) async fn post(address: SocketAddr, path: &str, body: &Value) -> (StatusCode, Value) {
    let response = send(address, "POST", path, body.to_string()).await;
    let status = response.status();
    (status, serde_json::from_str(&text(response).await).unwrap())
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> String {
    text(send(address, "GET", path, "").await).await
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    let body = tokio::time::timeout(LIMIT, response.into_body().collect()).await;
    let body = body.expect("an end in time").unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

pub(crate) async fn put_faults(address: SocketAddr, faults: Value) {
    let response = send(address, "PUT", "/debug/faults", faults.to_string()).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
}

pub(crate) fn cached(answer: &Value) -> u64 {
    let details = &answer["usage"]["prompt_tokens_details"];
    details["cached_tokens"].as_u64().unwrap()
}

/// Waits for a condition that must come true.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
