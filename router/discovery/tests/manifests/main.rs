//! Manifests as users have them, and every mistake by name.

mod folder;
mod mistakes;
mod reload;
mod unsteady;

use folder::{Folder, manifest};
use router_discovery::{Criticality, EstimatedRouting, ModelRule, Strategy, TargetModel};
use router_discovery::{FileSettings, PoolView, TrackingRouting, follow_files};

async fn view_of(settings: FileSettings) -> PoolView {
    let (discovery, _departures) = follow_files(settings).await.expect("good manifests");
    let views = discovery.views();
    let view = views.borrow();
    (**view).clone()
}

fn endpoints(view: &PoolView) -> Vec<String> {
    let show = |endpoint: &std::sync::Arc<router_discovery::PoolEndpoint>| {
        format!("{} {}", endpoint.name, endpoint.address)
    };
    view.endpoints.iter().map(show).collect()
}

#[tokio::test]
async fn precise_mode_as_its_users_have_it() {
    let folder = Folder::new();
    folder.write("tracking.yaml", &manifest("tracking.yaml"));
    folder.write("endpoints.yaml", &manifest("endpoints.yaml"));
    let view = view_of(folder.settings()).await;
    let tracking = TrackingRouting {
        block_size: Some(64),
        hash_seed: Some(42),
        model: Some("Qwen/Qwen3-32B".to_owned()),
    };
    assert_eq!(view.strategy, Strategy::Tracking(tracking));
    assert_eq!(view.pool, "default/qwen-inference-pool");
    assert!(view.synced && view.models.is_empty());
    assert_eq!(
        endpoints(&view),
        [
            "qwen-0 10.0.0.1:8000",
            "10.0.0.2:8100 10.0.0.2:8100",
            "qwen-2 [fd00::2]:8000",
        ]
    );
    assert_eq!(view.endpoints[0].labels["zone"], "a");
}

#[tokio::test]
async fn estimated_mode_as_its_users_have_it() {
    let folder = Folder::new();
    folder.write("estimation.yaml", &manifest("estimation.yaml"));
    let view = view_of(folder.settings()).await;
    assert_eq!(
        view.strategy,
        Strategy::Estimated(EstimatedRouting::default())
    );
    let rule = ModelRule {
        criticality: Criticality::Critical,
        targets: vec![TargetModel {
            name: "/model/qwen".to_owned(),
            weight: 100,
        }],
    };
    assert_eq!(view.models["/model/qwen"], rule);
    assert!(view.endpoints.is_empty());
}

#[tokio::test]
async fn the_stable_group_with_pods_and_objectives() {
    let folder = Folder::new();
    folder.write("stable.yaml", &manifest("stable.yaml"));
    let view = view_of(folder.settings()).await;
    assert_eq!(view.strategy, Strategy::LoadOnly);
    assert_eq!(view.pool, "llm/vllm-qwen3-32b");
    let objectives: Vec<(&str, i32)> = view
        .objectives
        .iter()
        .map(|(name, priority)| (name.as_str(), *priority))
        .collect();
    assert_eq!(objectives, [("batch", -10), ("chat", 10)]);
    assert_eq!(
        endpoints(&view),
        [
            "llm/vllm-0 10.0.0.10:8000",
            "llm/vllm-0 10.0.0.10:8001",
            "llm/vllm-1 [fd00::11]:8000",
            "llm/vllm-1 [fd00::11]:8001",
        ]
    );
}

#[tokio::test]
async fn all_of_them_in_one_folder_and_the_pool_chosen_by_name() {
    let folder = Folder::new();
    for name in [
        "tracking.yaml",
        "estimation.yaml",
        "stable.yaml",
        "endpoints.yaml",
    ] {
        folder.write(name, &manifest(name));
    }
    let error = follow_files(folder.settings())
        .await
        .expect_err("which pool?");
    let told = error.to_string();
    assert!(told.contains("several InferencePools"), "{told}");
    assert!(told.contains("default/vllm-qwen-pool"), "{told}");

    let view = view_of(FileSettings {
        pool_name: Some("vllm-qwen-pool".to_owned()),
        ..folder.settings()
    })
    .await;
    assert_eq!(view.pool, "default/vllm-qwen-pool");
    assert!(matches!(view.strategy, Strategy::Estimated(_)));
}

#[tokio::test]
async fn fixed_endpoints_join_those_of_the_files() {
    let folder = Folder::new();
    folder.write("estimation.yaml", &manifest("estimation.yaml"));
    let endpoint = router_discovery::parse_endpoint("127.0.0.1:8000=sim-0").expect("fine");
    let view = view_of(FileSettings {
        endpoints: vec![endpoint],
        ..folder.settings()
    })
    .await;
    assert_eq!(endpoints(&view), ["sim-0 127.0.0.1:8000"]);
}

#[tokio::test]
async fn mapped_addresses_are_ipv4_addresses() {
    let folder = Folder::new();
    let pool = manifest("estimation.yaml");
    let listed = "apiVersion: kvatlas/v1\nkind: KVAtlasEndpoints\nmetadata: {name: e}\nspec:\n  \
                  endpoints:\n  - {address: \"::ffff:10.0.0.1\"}\n  \
                  - {address: \"[::ffff:10.0.0.2]:8100\"}\n";
    folder.write("a.yaml", &format!("{pool}---\n{listed}"));
    let view = view_of(folder.settings()).await;
    let found: Vec<String> = view
        .endpoints
        .iter()
        .map(|e| e.address.to_string())
        .collect();
    assert_eq!(found, ["10.0.0.1:8000", "10.0.0.2:8100"]);

    let folder = Folder::new();
    let stable = manifest("stable.yaml").replace("10.0.0.10", "\"::ffff:10.0.0.10\"");
    folder.write("stable.yaml", &stable);
    let view = view_of(folder.settings()).await;
    assert_eq!(endpoints(&view)[0], "llm/vllm-0 10.0.0.10:8000");
}

#[tokio::test]
async fn json_is_read_too() {
    let folder = Folder::new();
    folder.write(
        "pool.json",
        r#"{"apiVersion": "inference.networking.k8s.io/v1", "kind": "InferencePool",
            "metadata": {"name": "p"},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "targetPorts": [{"number": 1}]}}"#,
    );
    let view = view_of(folder.settings()).await;
    assert_eq!(view.pool, "default/p");
}

#[tokio::test]
async fn a_policy_goes_before_the_annotation() {
    let folder = Folder::new();
    let pool = manifest("estimation.yaml");
    let policy = manifest("tracking.yaml")
        .split("---\n")
        .nth(1)
        .expect("the policy")
        .replace("qwen-inference-pool", "vllm-qwen-pool");
    folder.write("a.yaml", &format!("{pool}---\n{policy}"));
    let view = view_of(folder.settings()).await;
    assert!(matches!(view.strategy, Strategy::Tracking(_)));

    let estimate = policy
        .replace("tracking ", "estimate ")
        .split("          trackingConfig")
        .next()
        .expect("the mode")
        .to_owned();
    folder.write("a.yaml", &format!("{pool}---\n{estimate}"));
    let view = view_of(folder.settings()).await;
    assert!(matches!(view.strategy, Strategy::Estimated(_)));
}
