//! Envoy without a picker: the listener that users have beside it, and whether
//! the suite's own client and engine see what really passes.

use std::collections::BTreeSet;

use loadtest_gateway::{Client, EchoEngine, Envoy, Pool, Setup};
use tempfile::TempDir;

use crate::bench::{CHAT, HOST, addresses, chat, echoes, programs, said};

async fn alone() -> (Vec<EchoEngine>, Envoy, TempDir) {
    let engines = echoes(&["127.0.0.1:0", "127.0.0.1:0"]).await;
    let folder = tempfile::tempdir().unwrap();
    let picker = loadtest_engines::free_port().await.unwrap();
    let setup = Setup::new(Pool::OriginalDst, addresses(&engines), picker);
    let envoy = Envoy::start(programs().envoy(), &setup, folder.path());
    let envoy = envoy.await.unwrap();
    (engines, envoy, folder)
}

#[tokio::test]
async fn the_plain_listener_takes_the_engines_in_turn() {
    let (_engines, envoy, _folder) = alone().await;
    let mut names = BTreeSet::new();
    for _ in 0..4 {
        let answer = Client::once(envoy.plain(), chat("turn")).await.unwrap();
        assert_eq!(answer.status, 200);
        names.insert(answer.header("x-engine").to_owned());
    }
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test]
async fn without_a_picker_nothing_passes_fail_closed() {
    let (engines, envoy, _folder) = alone().await;
    let request = loadtest_gateway::post(HOST, CHAT, &said("x"));
    let answer = Client::once(envoy.inference(), request).await.unwrap();
    assert_eq!(answer.status, 500, "{}", answer.text());
    let served: u64 = engines.iter().map(EchoEngine::served).sum();
    assert_eq!(served, 0);
}
