//! Which endpoints depart, and above all which do not.

use serde_json::json;

use crate::world::{NAMESPACE, STABLE_POOLS, World, pod, pool};

/// A pod that comes and goes departs; whatever had departed before it would have
/// been told before it.
async fn nothing_departed_before(world: &mut World, name: &str) {
    world.server.apply(pod(name, "10.9.9.9", true, "qwen"));
    world
        .view(|view| {
            view.endpoints
                .iter()
                .any(|e| e.name == format!("llm/{name}"))
        })
        .await;
    world.server.delete("pods", NAMESPACE, name);
    assert_eq!(world.departure().await.name, format!("llm/{name}"));
}

#[tokio::test]
async fn a_pod_that_is_deleted_departs_at_every_port() {
    let mut world = World::with_pods(&[("a", "10.0.0.1"), ("b", "10.0.0.2")]).await;
    world.server.apply(pool("qwen", &[8000, 8001]));
    world.view(|view| view.endpoints.len() == 4).await;
    world.server.delete("pods", NAMESPACE, "a");
    let mut gone = [world.departure().await, world.departure().await];
    gone.sort_by_key(|gone| gone.address);
    let shown = gone.map(|gone| format!("{} {}", gone.name, gone.address));
    assert_eq!(shown, ["llm/a 10.0.0.1:8000", "llm/a 10.0.0.1:8001"]);
}

#[tokio::test]
async fn a_pod_that_is_unready_leaving_or_relabelled_does_not_depart() {
    let pods = [("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.3")];
    let mut world = World::with_pods(&pods).await;
    world.view(|view| view.endpoints.len() == 3).await;
    world.server.apply(pod("a", "10.0.0.1", false, "qwen"));
    let mut leaving = pod("b", "10.0.0.2", true, "qwen");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    world.server.apply(leaving);
    world.server.apply(pod("c", "10.0.0.3", true, "other"));
    world.endpoints(&[]).await;
    nothing_departed_before(&mut world, "z").await;
    // Deleted in the end, also while it was not in the pool.
    world.server.delete("pods", NAMESPACE, "c");
    assert_eq!(world.departure().await.name, "llm/c");
}

#[tokio::test]
async fn a_pod_with_a_new_address_departs_from_the_old_one() {
    let mut world = World::with_pods(&[("a", "10.0.0.1")]).await;
    world.endpoints(&["llm/a 10.0.0.1:8000"]).await;
    world.server.apply(pod("a", "10.0.0.7", true, "qwen"));
    world.endpoints(&["llm/a 10.0.0.7:8000"]).await;
    let gone = world.departure().await;
    assert_eq!(gone.address.to_string(), "10.0.0.1:8000");
}

#[tokio::test]
async fn a_pool_that_vanishes_takes_no_pod_with_it() {
    let mut world = World::with_pods(&[("a", "10.0.0.1"), ("b", "10.0.0.2")]).await;
    world.view(|view| view.endpoints.len() == 2).await;
    world.server.delete(STABLE_POOLS, NAMESPACE, "qwen");
    world.endpoints(&[]).await;
    // Its pods go one by one; the other is still there.
    world.server.delete("pods", NAMESPACE, "b");
    assert_eq!(world.departure().await.name, "llm/b");
    world.server.apply(pool("qwen", &[8000]));
    world.endpoints(&["llm/a 10.0.0.1:8000"]).await;
    nothing_departed_before(&mut world, "z").await;
}

#[tokio::test]
async fn nobody_departs_while_the_api_server_cannot_be_asked() {
    let mut world = World::with_pods(&[("a", "10.0.0.1")]).await;
    world.endpoints(&["llm/a 10.0.0.1:8000"]).await;
    world.server.kill();
    world.status(|status| status.stale.is_some()).await;
    world.server.delete("pods", NAMESPACE, "a");
    world.server.apply(pod("a", "10.0.0.1", true, "qwen"));
    world.server.revive();
    world.status(|status| status.stale.is_none()).await;
    nothing_departed_before(&mut world, "z").await;
}
