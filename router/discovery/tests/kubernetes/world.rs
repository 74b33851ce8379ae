//! The double with a picker's discovery following it, and what is put into it.

use std::sync::Arc;
use std::time::Duration;

use router_discovery::{
    Access, Departure, Departures, Discovery, KubernetesSettings, PoolGroup, PoolView,
    SourceStatus, follow_kubernetes,
};
use serde_json::{Value, json};

use crate::api_server::ApiServer;

pub(crate) const NAMESPACE: &str = "llm";
pub(crate) const STABLE_POOLS: &str = "inferencepools.inference.networking.k8s.io";
pub(crate) const EXPERIMENTAL_POOLS: &str = "inferencepools.inference.networking.x-k8s.io";
pub(crate) const POLICIES: &str = "inferencetrafficpolicies.inferenceextension.alibabacloud.com";

/// Far longer than anything takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct World {
    pub(crate) server: ApiServer,
    pub(crate) discovery: Discovery,
    departures: Departures,
    _kubeconfig: tempfile::TempDir,
}

impl World {
    pub(crate) async fn follow(server: ApiServer, group: Option<PoolGroup>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kubeconfig");
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "double",
            "clusters": [{"name": "double",
                "cluster": {"server": format!("http://{}", server.address())}}],
            "contexts": [{"name": "double",
                "context": {"cluster": "double", "user": "picker", "namespace": NAMESPACE}}],
            "users": [{"name": "picker", "user": {}}]});
        std::fs::write(&path, config.to_string()).expect("writable");
        let settings = KubernetesSettings {
            access: Access::Kubeconfig {
                path,
                context: None,
            },
            pool_group: group,
            answer_timeout: Duration::from_secs(3),
            watch_timeout: Duration::from_secs(120),
            absent_retry: Duration::from_millis(200),
            longest_pause: Duration::from_millis(500),
            departure_grace: Duration::from_millis(200),
            ..KubernetesSettings::new("qwen")
        };
        let (discovery, departures) = follow_kubernetes(settings).await.expect("a kubeconfig");
        Self {
            server,
            discovery,
            departures,
            _kubeconfig: folder,
        }
    }

    /// A stable pool of `app: qwen` at port 8000, with these ready pods.
    pub(crate) async fn with_pods(pods: &[(&str, &str)]) -> Self {
        let server = ApiServer::start();
        server.apply(pool("qwen", &[8000]));
        for (name, ip) in pods {
            server.apply(pod(name, ip, true, "qwen"));
        }
        let mut world = Self::follow(server, None).await;
        world.view(|view| view.synced).await;
        world
    }

    /// Waits for a view.
    pub(crate) async fn view(&mut self, wanted: impl Fn(&PoolView) -> bool) -> Arc<PoolView> {
        let mut views = self.discovery.views();
        let found = tokio::time::timeout(PATIENCE, views.wait_for(|view| wanted(view))).await;
        match found {
            Ok(view) => Arc::clone(&view.expect("the source runs")),
            Err(_) => {
                let last = self.discovery.views().borrow().clone();
                let status = self.discovery.status().borrow().clone();
                panic!("no such view; the last is {last:?}, {status:?}");
            }
        }
    }

    /// Waits until exactly these endpoints are there, as `pod ip:port`.
    pub(crate) async fn endpoints(&mut self, expected: &[&str]) -> Arc<PoolView> {
        self.view(|view| shown(view) == expected).await
    }

    pub(crate) async fn status(&mut self, wanted: impl Fn(&SourceStatus) -> bool) -> SourceStatus {
        let mut status = self.discovery.status();
        let found = tokio::time::timeout(PATIENCE, status.wait_for(|status| wanted(status))).await;
        match found {
            Ok(status) => (**status.expect("the source runs")).clone(),
            Err(_) => panic!(
                "no such status; the last is {:?}",
                self.discovery.status().borrow()
            ),
        }
    }

    pub(crate) async fn departure(&mut self) -> Departure {
        let next = tokio::time::timeout(PATIENCE, self.departures.next()).await;
        next.expect("a departure").expect("the source runs")
    }
}

pub(crate) fn shown(view: &PoolView) -> Vec<String> {
    let show = |e: &Arc<router_discovery::PoolEndpoint>| format!("{} {}", e.name, e.address);
    view.endpoints.iter().map(show).collect()
}

pub(crate) fn pool(name: &str, ports: &[u16]) -> Value {
    let ports: Vec<Value> = ports.iter().map(|port| json!({"number": port})).collect();
    json!({"apiVersion": "inference.networking.k8s.io/v1", "kind": "InferencePool",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"matchLabels": {"app": name}}, "targetPorts": ports,
            "endpointPickerRef": {"name": "epp", "port": {"number": 9002}}}})
}

pub(crate) fn experimental_pool(name: &str, port: u16) -> Value {
    json!({"apiVersion": "inference.networking.x-k8s.io/v1alpha2", "kind": "InferencePool",
        "metadata": {"name": name, "namespace": NAMESPACE,
            "annotations": {"inference.networking.x-k8s.io/routing-strategy": "PREFIX_CACHE"}},
        "spec": {"selector": {"app": name}, "targetPortNumber": port}})
}

pub(crate) fn pod(name: &str, ip: &str, ready: bool, app: &str) -> Value {
    let ready = if ready { "True" } else { "False" };
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": app}},
        "spec": {"containers": [{"name": "vllm"}]},
        "status": {"phase": "Running", "podIP": ip,
            "conditions": [{"type": "Ready", "status": ready}]}})
}

pub(crate) fn policy(name: &str, pool: &str, block_size: u32) -> Value {
    json!({"apiVersion": "inferenceextension.alibabacloud.com/v1alpha1",
        "kind": "InferenceTrafficPolicy",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"poolRef": {"name": pool}, "profile": {"single": {"trafficPolicy": {
            "prefixCache": {"mode": "tracking", "trackingConfig": {"indexerConfig": {
                "tokenProcessorConfig": {"blockSize": block_size, "hashSeed": 42}}}}}}}}})
}
