//! The manifests of deploy/kubernetes fit the code, and each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use router_discovery::{FileSettings, Strategy, follow_files, watched_resources};
use serde::Deserialize;
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kubernetes")
}

/// Every document of every file, by kind.
fn documents() -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("text");
        for document in serde_yaml_ng::Deserializer::from_str(&text) {
            let value = Value::deserialize(document).expect("YAML");
            let kind = value["kind"].as_str().expect("a kind").to_owned();
            assert!(value["metadata"]["name"].is_string(), "{}", path.display());
            found.entry(kind).or_default().push(value);
        }
    }
    found
}

fn only<'d>(documents: &'d BTreeMap<String, Vec<Value>>, kind: &str) -> &'d Value {
    match documents.get(kind).map(Vec::as_slice) {
        Some([one]) => one,
        other => panic!("one {kind}, found {}", other.map_or(0, <[Value]>::len)),
    }
}

#[tokio::test]
async fn both_pools_are_read_without_a_mistake() {
    for (pool, tracking) in [("vllm-qwen3-32b", true), ("vllm-llama", false)] {
        let settings = FileSettings {
            paths: vec![folder()],
            pool_name: Some(pool.to_owned()),
            ..FileSettings::default()
        };
        let (discovery, _departures) = follow_files(settings).await.expect("no mistakes");
        let views = discovery.views();
        let view = views.borrow();
        assert_eq!(matches!(view.strategy, Strategy::Tracking(_)), tracking);
        assert_eq!(matches!(view.strategy, Strategy::Estimated(_)), !tracking);
        assert_eq!(view.objectives.contains_key("batch"), tracking);
        assert_eq!(view.models.contains_key("llama"), !tracking);
    }
}

#[test]
fn the_role_grants_what_is_watched_and_nothing_more() {
    let documents = documents();
    let role = only(&documents, "Role");
    let mut granted = BTreeSet::new();
    let texts = |value: &Value| -> BTreeSet<String> {
        let items = value.as_array().expect("a list").iter();
        items
            .map(|item| item.as_str().expect("text").to_owned())
            .collect()
    };
    for rule in role["rules"].as_array().expect("rules") {
        let verbs = texts(&rule["verbs"]);
        assert_eq!(verbs, ["get", "list", "watch"].map(str::to_owned).into());
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                granted.insert((group.clone(), resource));
            }
        }
    }
    let watched: BTreeSet<(String, String)> = watched_resources()
        .iter()
        .map(|watched| (watched.group.to_owned(), watched.resource.to_owned()))
        .collect();
    assert_eq!(granted, watched);

    let binding = only(&documents, "RoleBinding");
    let account = only(&documents, "ServiceAccount");
    let deployment = only(&documents, "Deployment");
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    assert_eq!(binding["subjects"][0]["name"], account["metadata"]["name"]);
    let used = &deployment["spec"]["template"]["spec"]["serviceAccountName"];
    assert_eq!(*used, account["metadata"]["name"]);
}

#[test]
fn probes_ask_for_liveness_and_readiness_on_the_plain_port() {
    let documents = documents();
    let container = &only(&documents, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    for (probe, service) in [
        ("livenessProbe", "liveness"),
        ("readinessProbe", "readiness"),
    ] {
        assert_eq!(container[probe]["grpc"]["service"], service);
        assert_eq!(container[probe]["grpc"]["port"], 9003);
    }
}

#[test]
fn the_pool_leads_to_the_service_and_the_service_to_the_pods() {
    let documents = documents();
    let service = only(&documents, "Service");
    let deployment = only(&documents, "Deployment");
    let template = &deployment["spec"]["template"];
    assert_eq!(service["spec"]["selector"], template["metadata"]["labels"]);
    assert_eq!(
        deployment["spec"]["selector"]["matchLabels"],
        template["metadata"]["labels"]
    );
    let container = &template["spec"]["containers"][0];
    let exposed = |name: &Value| {
        let ports = container["ports"].as_array().expect("ports");
        let port = ports.iter().find(|port| port["name"] == *name);
        port.map(|port| port["containerPort"].clone())
    };
    let pools = &documents["InferencePool"];
    let pool = pools
        .iter()
        .find(|pool| pool["spec"]["endpointPickerRef"].is_object());
    let pool = pool.expect("the stable pool");
    let reference = &pool["spec"]["endpointPickerRef"];
    assert_eq!(reference["name"], service["metadata"]["name"]);
    let port = &service["spec"]["ports"][0];
    assert_eq!(reference["port"]["number"], port["port"]);
    assert_eq!(exposed(&port["targetPort"]), Some(port["port"].clone()));
    let name = pool["metadata"]["name"].as_str().expect("a name");
    let args = container["args"].to_string();
    assert!(args.contains(&format!("--pool-name={name}\"")), "{args}");
    let route = only(&documents, "HTTPRoute");
    assert_eq!(
        route["spec"]["rules"][0]["backendRefs"][0]["name"],
        pool["metadata"]["name"]
    );
}
