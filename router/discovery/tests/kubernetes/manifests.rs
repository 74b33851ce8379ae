//! What the manifests of the cluster ask for, as they change.

use router_discovery::{Criticality, PoolGroup, PoolView, Strategy};
use serde_json::{Value, json};

use crate::api_server::ApiServer;
use crate::world::{
    EXPERIMENTAL_POOLS, NAMESPACE, POLICIES, STABLE_POOLS, World, experimental_pool, pod, policy,
    pool,
};

fn block_size(view: &PoolView) -> Option<u32> {
    match &view.strategy {
        Strategy::Tracking(tracking) => tracking.block_size,
        _ => None,
    }
}

fn model(name: &str, model_name: &str) -> Value {
    json!({"apiVersion": "inference.networking.x-k8s.io/v1alpha2", "kind": "InferenceModel",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"modelName": model_name, "criticality": "Sheddable", "poolRef": {"name": "qwen"}}})
}

#[tokio::test]
async fn a_policy_is_added_changed_broken_mended_and_deleted() {
    let mut world = World::with_pods(&[("a", "10.0.0.1")]).await;
    assert_eq!(world.view(|_| true).await.strategy, Strategy::LoadOnly);
    world.server.apply(policy("precise", "qwen", 64));
    world.view(|view| block_size(view) == Some(64)).await;
    world.server.apply(policy("precise", "qwen", 16));
    world.view(|view| block_size(view) == Some(16)).await;

    world.server.apply(policy("precise", "qwen", 0));
    let status = world.status(|status| status.last_error.is_some()).await;
    let told = status.last_error.expect("it is there").to_string();
    assert!(
        told.contains("InferenceTrafficPolicy llm/precise: "),
        "{told}"
    );
    assert!(
        told.contains("tokenProcessorConfig.blockSize: 0 is not accepted"),
        "{told}"
    );
    assert_eq!(status.refused, 1);
    let view = world.view(|_| true).await;
    assert_eq!(block_size(&view), Some(16));
    // Endpoints are followed all the same.
    world.server.apply(pod("b", "10.0.0.2", true, "qwen"));
    world
        .endpoints(&["llm/a 10.0.0.1:8000", "llm/b 10.0.0.2:8000"])
        .await;

    world.server.apply(policy("precise", "qwen", 32));
    world.view(|view| block_size(view) == Some(32)).await;
    world.status(|status| status.last_error.is_none()).await;
    world.server.delete(POLICIES, NAMESPACE, "precise");
    world.view(|view| view.strategy == Strategy::LoadOnly).await;
}

#[tokio::test]
async fn a_second_policy_for_the_pool_is_refused_and_the_first_stays() {
    let mut world = World::with_pods(&[]).await;
    world.server.apply(policy("precise", "qwen", 64));
    world.view(|view| block_size(view) == Some(64)).await;
    world.server.apply(policy("also", "qwen", 16));
    let status = world.status(|status| status.last_error.is_some()).await;
    let told = status.last_error.expect("it is there").to_string();
    assert!(told.contains("already; accepted: one"), "{told}");
    assert_eq!(block_size(&*world.view(|_| true).await), Some(64));
    world.server.delete(POLICIES, NAMESPACE, "precise");
    world.view(|view| block_size(view) == Some(16)).await;
}

#[tokio::test]
async fn other_pools_policies_are_none_of_this_pickers_business() {
    let mut world = World::with_pods(&[]).await;
    world.server.apply(policy("broken", "llama", 0));
    world.server.apply(policy("precise", "qwen", 64));
    world.view(|view| block_size(view) == Some(64)).await;
    world.status(|status| status.last_error.is_none()).await;
}

#[tokio::test]
async fn models_and_objectives_of_the_pool_are_read() {
    let mut world = World::with_pods(&[]).await;
    world.server.apply(model("m", "qwen3"));
    world.server.apply(
        json!({"apiVersion": "inference.networking.x-k8s.io/v1alpha2",
        "kind": "InferenceObjective", "metadata": {"name": "batch", "namespace": NAMESPACE},
        "spec": {"priority": -5, "poolRef": {"name": "qwen"}}}),
    );
    let wanted = |view: &PoolView| !view.models.is_empty() && !view.objectives.is_empty();
    let view = world.view(wanted).await;
    assert_eq!(view.models["qwen3"].criticality, Criticality::Sheddable);
    assert_eq!(view.objectives["batch"], -5);
    // One more of the same modelName: both stay as they were.
    world.server.apply(model("n", "qwen3"));
    let status = world.status(|status| status.last_error.is_some()).await;
    let told = status.last_error.expect("it is there").to_string();
    assert!(
        told.contains("\"qwen3\" is also the modelName of InferenceModel llm/m"),
        "{told}"
    );
    assert!(!world.view(|_| true).await.models.is_empty());
}

#[tokio::test]
async fn a_broken_pool_keeps_its_last_good_form() {
    let mut world = World::with_pods(&[("a", "10.0.0.1")]).await;
    world.endpoints(&["llm/a 10.0.0.1:8000"]).await;
    let mut broken = pool("qwen", &[8000]);
    broken["spec"]["appProtocol"] = json!("kubernetes.io/h2c");
    world.server.apply(broken);
    let status = world.status(|status| status.last_error.is_some()).await;
    let told = status.last_error.expect("it is there").to_string();
    assert!(
        told.contains("InferencePool llm/qwen: spec.appProtocol"),
        "{told}"
    );
    world.endpoints(&["llm/a 10.0.0.1:8000"]).await;
    world.server.apply(pool("qwen", &[8100]));
    world.endpoints(&["llm/a 10.0.0.1:8100"]).await;
    world.status(|status| status.last_error.is_none()).await;
}

#[tokio::test]
async fn a_pool_of_either_group_is_followed_and_the_stable_one_goes_first() {
    let server = ApiServer::start();
    server.apply(experimental_pool("qwen", 9000));
    server.apply(pod("a", "10.0.0.1", true, "qwen"));
    let mut world = World::follow(server, None).await;
    let view = world.endpoints(&["llm/a 10.0.0.1:9000"]).await;
    assert!(matches!(view.strategy, Strategy::Estimated(_)));
    world.server.apply(pool("qwen", &[8000]));
    let view = world.endpoints(&["llm/a 10.0.0.1:8000"]).await;
    assert_eq!(view.strategy, Strategy::LoadOnly);
    world.server.delete(STABLE_POOLS, NAMESPACE, "qwen");
    world.endpoints(&["llm/a 10.0.0.1:9000"]).await;
}

#[tokio::test]
async fn only_the_chosen_group_is_followed() {
    let server = ApiServer::start();
    server.install(STABLE_POOLS, false);
    server.apply(experimental_pool("qwen", 9000));
    server.apply(pod("a", "10.0.0.1", true, "qwen"));
    let mut world = World::follow(server, Some(PoolGroup::Experimental)).await;
    world.endpoints(&["llm/a 10.0.0.1:9000"]).await;
    assert_eq!(world.server.lists_of(STABLE_POOLS), 0);
    assert_eq!(world.server.lists_of(EXPERIMENTAL_POOLS), 1);
}

#[tokio::test]
async fn a_pool_that_is_deleted_has_no_endpoints_until_it_is_back() {
    let mut world = World::with_pods(&[("a", "10.0.0.1")]).await;
    world.endpoints(&["llm/a 10.0.0.1:8000"]).await;
    world.server.delete(STABLE_POOLS, NAMESPACE, "qwen");
    let view = world.endpoints(&[]).await;
    assert!(view.synced);
    world.server.apply(pool("qwen", &[8000]));
    world.endpoints(&["llm/a 10.0.0.1:8000"]).await;
}
