//! Pods come, become ready and unready, and go.

use serde_json::json;

use crate::api_server::ApiServer;
use crate::world::{NAMESPACE, World, pod, pool};

#[tokio::test]
async fn pods_become_ready_unready_and_are_deleted() {
    let mut world = World::with_pods(&[("a", "10.0.0.1")]).await;
    world.endpoints(&["llm/a 10.0.0.1:8000"]).await;
    world.server.apply(pod("b", "10.0.0.2", false, "qwen"));
    world.server.apply(pod("c", "10.0.0.3", true, "qwen"));
    world
        .endpoints(&["llm/a 10.0.0.1:8000", "llm/c 10.0.0.3:8000"])
        .await;
    world.server.apply(pod("b", "10.0.0.2", true, "qwen"));
    world.server.apply(pod("a", "10.0.0.1", false, "qwen"));
    world
        .endpoints(&["llm/b 10.0.0.2:8000", "llm/c 10.0.0.3:8000"])
        .await;
    world.server.delete("pods", NAMESPACE, "c");
    let view = world.endpoints(&["llm/b 10.0.0.2:8000"]).await;
    assert_eq!(view.endpoints[0].labels["app"], "qwen");
    assert_eq!(view.pool, "llm/qwen");
}

#[tokio::test]
async fn a_pod_on_its_way_out_is_no_endpoint_even_if_ready() {
    let mut world = World::with_pods(&[("a", "10.0.0.1"), ("b", "10.0.0.2")]).await;
    world
        .endpoints(&["llm/a 10.0.0.1:8000", "llm/b 10.0.0.2:8000"])
        .await;
    let mut leaving = pod("a", "10.0.0.1", true, "qwen");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    world.server.apply(leaving);
    world.endpoints(&["llm/b 10.0.0.2:8000"]).await;
    let mut ended = pod("b", "10.0.0.2", true, "qwen");
    ended["status"]["phase"] = json!("Failed");
    world.server.apply(ended);
    world.endpoints(&[]).await;
}

#[tokio::test]
async fn every_ready_address_at_every_port_also_ipv6() {
    let server = ApiServer::start();
    server.apply(pool("qwen", &[8001, 8000]));
    server.apply(pod("a", "fd00::1", true, "qwen"));
    server.apply(pod("b", "10.0.0.2", true, "qwen"));
    let mut world = World::follow(server, None).await;
    let expected = [
        "llm/b 10.0.0.2:8000",
        "llm/b 10.0.0.2:8001",
        "llm/a [fd00::1]:8000",
        "llm/a [fd00::1]:8001",
    ];
    world.endpoints(&expected).await;
}

#[tokio::test]
async fn pods_without_an_address_and_pods_of_others_are_left_out() {
    let mut world = World::with_pods(&[("a", "10.0.0.1")]).await;
    let mut early = pod("b", "", true, "qwen");
    early["status"] = json!({"phase": "Pending"});
    world.server.apply(early);
    world.server.apply(pod("c", "10.0.0.3", true, "other"));
    let mut elsewhere = pod("d", "10.0.0.4", true, "qwen");
    elsewhere["metadata"]["namespace"] = json!("other");
    world.server.apply(elsewhere);
    world.server.apply(pod("e", "10.0.0.5", true, "qwen"));
    world
        .endpoints(&["llm/a 10.0.0.1:8000", "llm/e 10.0.0.5:8000"])
        .await;
}

#[tokio::test]
async fn the_pools_selector_and_ports_change() {
    let mut world = World::with_pods(&[("a", "10.0.0.1")]).await;
    world.server.apply(pod("b", "10.0.0.2", true, "llama"));
    let mut changed = pool("qwen", &[9000]);
    changed["spec"]["selector"]["matchLabels"] = json!({"app": "llama"});
    world.server.apply(changed);
    world.endpoints(&["llm/b 10.0.0.2:9000"]).await;
    // The old selector's pods are not followed any more, the new one's are.
    world.server.apply(pod("c", "10.0.0.3", true, "qwen"));
    world.server.apply(pod("d", "10.0.0.4", true, "llama"));
    world
        .endpoints(&["llm/b 10.0.0.2:9000", "llm/d 10.0.0.4:9000"])
        .await;
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let server = ApiServer::start();
    server.change(|store| store.page = 7);
    server.apply(pool("qwen", &[8000]));
    for number in 1..=100 {
        server.apply(pod(
            &format!("p{number:03}"),
            &format!("10.0.0.{number}"),
            true,
            "qwen",
        ));
    }
    let mut world = World::follow(server, None).await;
    let view = world.view(|view| view.synced).await;
    assert_eq!(view.endpoints.len(), 100);
}
