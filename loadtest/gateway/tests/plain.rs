//! Envoy without a picker: the listener that users have beside it, and whether
//! the suite's own client and engine see what really passes.

use std::time::Duration;

use http_body_util::BodyExt;
use loadtest_gateway::{
    Client, EchoEngine, Envoy, EnvoyBinary, Pool, Setup, eventually, get, post,
};
use serde_json::json;

const CHAT: &str = "/v1/chat/completions";

struct Plain {
    engines: Vec<EchoEngine>,
    envoy: Envoy,
    _folder: tempfile::TempDir,
}

async fn plain() -> Plain {
    let mut engines = Vec::new();
    for name in ["a", "b"] {
        let address = "127.0.0.1:0".parse().unwrap();
        engines.push(EchoEngine::start(name, address).await.unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let addresses = engines.iter().map(EchoEngine::address).collect();
    let picker = loadtest_engines::free_port().await.unwrap();
    let setup = Setup::new(Pool::OriginalDst, addresses, picker);
    let envoy = std::env::var_os("KVATLAS_ENVOY").map(std::path::PathBuf::from);
    let envoy = EnvoyBinary::find(envoy.as_deref()).unwrap();
    let envoy = Envoy::start(&envoy, &setup, folder.path()).await.unwrap();
    Plain {
        engines,
        envoy,
        _folder: folder,
    }
}

#[tokio::test]
async fn the_plain_listener_takes_the_engines_in_turn() {
    let plain = plain().await;
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let request = post("plain.test", CHAT, &json!({"model": "m"}));
        let answer = Client::once(plain.envoy.plain(), request).await.unwrap();
        assert_eq!(answer.status, 200);
        names.insert(answer.header("x-engine").to_owned());
    }
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test]
async fn no_picker_and_fail_closed_is_an_error_of_the_gateway() {
    let plain = plain().await;
    let request = post("plain.test", CHAT, &json!({"model": "m"}));
    let answer = Client::once(plain.envoy.inference(), request)
        .await
        .unwrap();
    assert_eq!(answer.status, 500, "{}", answer.text());
    let served: u64 = plain.engines.iter().map(EchoEngine::served).sum();
    assert_eq!(served, 0);
}

#[tokio::test]
async fn an_event_passes_before_the_engine_makes_the_next() {
    let plain = plain().await;
    let mut request = post("plain.test", CHAT, &json!({"model": "m", "stream": true}));
    let sse = http::HeaderValue::from_static("sse=2");
    request.headers_mut().insert("x-echo", sse);
    let mut client = Client::connect(plain.envoy.plain()).await.unwrap();
    let mut response = client.send(request).await.unwrap();
    for part in ["\"index\":0", "\"index\":1", "usage", "cached", "DONE"] {
        for engine in &plain.engines {
            engine.allow(1);
        }
        let frame = tokio::time::timeout(Duration::from_secs(60), response.frame());
        let frame = frame.await.unwrap().unwrap().unwrap().into_data().unwrap();
        let text = String::from_utf8_lossy(&frame).into_owned();
        assert!(text.contains(part), "{part} is not in {text:?}");
        // The other engine must not go ahead with what this one was allowed.
    }
}

#[tokio::test]
async fn an_engine_notices_that_the_client_has_left() {
    let plain = plain().await;
    let mut request = get("plain.test", CHAT);
    let sse = http::HeaderValue::from_static("sse=2");
    request.headers_mut().insert("x-echo", sse);
    let mut client = Client::connect(plain.envoy.plain()).await.unwrap();
    let response = client.send(request).await.unwrap();
    assert_eq!(response.status(), 200);
    drop(response);
    drop(client);
    let left = async || {
        let left: u64 = plain.engines.iter().map(EchoEngine::left).sum();
        Ok((left == 1).then_some(()))
    };
    eventually("the engine's notice", left).await.unwrap();
}
