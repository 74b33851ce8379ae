//! `InferencePool`, of both groups.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fields::{Fields, Node};
use super::mistake::Origin;
use super::resource::{Head, ResourceName};

/// Chooses how endpoints are picked where no policy does.
const STRATEGY_ANNOTATION: &str = "inference.networking.x-k8s.io/routing-strategy";
/// Ports of a pool, as GIE bounds them.
const MOST_PORTS: usize = 8;

/// The API group of an InferencePool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PoolGroup {
    /// `inference.networking.k8s.io`, version `v1`.
    Stable,
    /// `inference.networking.x-k8s.io`, version `v1alpha2`.
    Experimental,
}

impl PoolGroup {
    /// Both, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Stable, Self::Experimental];

    /// The group as manifests and `--pool-group` name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stable => "inference.networking.k8s.io",
            Self::Experimental => "inference.networking.x-k8s.io",
        }
    }
}

/// What an InferencePool says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InferencePool {
    pub(crate) name: ResourceName,
    pub(crate) group: PoolGroup,
    pub(crate) origin: Origin,
    /// Every one of these labels; never empty.
    pub(crate) selector: BTreeMap<String, String>,
    /// Never empty.
    pub(crate) ports: Vec<u16>,
    /// The annotation asks for estimated prefix routing.
    pub(crate) prefix_cache: bool,
}

impl InferencePool {
    /// Whether a pod with these labels is of the pool.
    pub(crate) fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |(key, value): (&String, &String)| labels.get(key) == Some(value);
        self.selector.iter().all(has)
    }
}

pub(super) fn inference_pool(
    group: PoolGroup,
    head: Head<'_>,
    spec: &mut Fields<'_>,
) -> Option<InferencePool> {
    let prefix_cache = match &head.annotations {
        Some(annotations) => strategy(annotations),
        None => Some(false),
    };
    let (selector, ports) = match group {
        PoolGroup::Stable => stable(spec),
        PoolGroup::Experimental => experimental(spec),
    };
    Some(InferencePool {
        name: head.name,
        group,
        origin: head.origin,
        selector: selector?,
        ports: ports?,
        prefix_cache: prefix_cache?,
    })
}

type Targets = (Option<BTreeMap<String, String>>, Option<Vec<u16>>);

fn stable(spec: &mut Fields<'_>) -> Targets {
    let selector = spec.required("selector").and_then(|node| {
        let mut fields = node.object()?;
        let labels = fields.required("matchLabels").as_ref().and_then(labels);
        fields.finish();
        labels
    });
    let ports = spec.required("targetPorts").as_ref().and_then(ports);
    if let Some(node) = spec.optional("appProtocol") {
        // Load and health of the endpoints are read with HTTP/1.1.
        node.choice(&[("http", ())]);
    }
    if let Some(node) = spec.optional("endpointPickerRef") {
        picker(&node, "port");
    }
    (selector, ports)
}

fn experimental(spec: &mut Fields<'_>) -> Targets {
    let selector = spec.required("selector").as_ref().and_then(labels);
    let port = spec
        .required("targetPortNumber")
        .as_ref()
        .and_then(Node::port);
    if let Some(node) = spec.optional("extensionRef") {
        picker(&node, "portNumber");
    }
    (selector, port.map(|port| vec![port]))
}

fn labels(node: &Node<'_>) -> Option<BTreeMap<String, String>> {
    let labels = node.labels();
    if node
        .value
        .as_object()
        .is_some_and(serde_json::Map::is_empty)
    {
        node.wrong("empty: it would select every pod of the namespace; accepted: labels");
    }
    (!labels.is_empty()).then_some(labels)
}

fn ports(node: &Node<'_>) -> Option<Vec<u16>> {
    let items = node.items(MOST_PORTS);
    if node.value.as_array().is_some_and(Vec::is_empty) {
        node.wrong(format!("no ports; accepted: 1 to {MOST_PORTS}"));
    }
    let mut seen = BTreeSet::new();
    let mut ports = Vec::new();
    for item in &items {
        let Some(mut fields) = item.object() else {
            continue;
        };
        if let Some(number) = fields.required("number")
            && let Some(port) = number.port()
        {
            if seen.insert(port) {
                ports.push(port);
            } else {
                number.wrong(format!("{port} comes twice"));
            }
        }
        fields.finish();
    }
    (!ports.is_empty()).then_some(ports)
}

/// Who picks endpoints is the gateway's business; only its form is checked.
fn picker(node: &Node<'_>, port_field: &'static str) {
    let Some(mut fields) = node.object() else {
        return;
    };
    for name in ["group", "kind"] {
        if let Some(node) = fields.optional(name)
            && node.value.as_str() != Some("")
        {
            node.text();
        }
    }
    fields.required("name").as_ref().and_then(Node::text);
    match fields.optional(port_field) {
        Some(node) if port_field == "port" => {
            if let Some(mut port) = node.object() {
                port.required("number").as_ref().and_then(Node::port);
                port.finish();
            }
        }
        Some(node) => {
            node.port();
        }
        None => {}
    }
    if let Some(node) = fields.optional("failureMode") {
        node.choice(&[("FailOpen", ()), ("FailClose", ())]);
    }
    fields.finish();
}

/// Whether the annotation asks for prefix routing; `None` if it is wrong.
fn strategy(annotations: &Node<'_>) -> Option<bool> {
    let Some(value) = annotations.value.get(STRATEGY_ANNOTATION) else {
        return Some(false);
    };
    match value {
        Value::String(text) if text == "PREFIX_CACHE" => Some(true),
        Value::String(text) if text == "DEFAULT" => Some(false),
        other => {
            annotations.wrong(format!(
                "{STRATEGY_ANNOTATION} is {}; accepted: PREFIX_CACHE, DEFAULT",
                super::mistake::quoted(&other.to_string())
            ));
            None
        }
    }
}
