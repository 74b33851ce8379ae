//! Which kind a manifest is, and reading it as such.

use serde_json::Value;

use super::endpoints::{EndpointList, endpoint_list};
use super::fields::{Fields, Node, Report};
use super::mistake::{Mistake, Origin, quoted};
use super::model::{InferenceModel, inference_model};
use super::objective::{InferenceObjective, inference_objective};
use super::pod::file_pod;
use super::policy::{InferenceTrafficPolicy, inference_traffic_policy};
use super::pool::{InferencePool, PoolGroup, inference_pool};
use k8s_openapi::api::core::v1::Pod;

/// Levels of lists within lists.
const LIST_DEPTH: usize = 4;
/// Items of one list.
const LIST_ITEMS: usize = 20_000;

/// Names one resource of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ResourceName {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl std::fmt::Display for ResourceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A manifest that means something to a picker.
#[derive(Debug, Clone)]
pub(crate) enum Resource {
    Pool(InferencePool),
    Policy(InferenceTrafficPolicy),
    Model(InferenceModel),
    Objective(InferenceObjective),
    Endpoints(EndpointList),
    Pod(Box<Pod>),
}

/// What reading one document gave.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) resources: Vec<Resource>,
    /// Kinds that stand around ours in users' files and say nothing to a picker.
    pub(crate) skipped: Vec<String>,
    pub(crate) mistakes: Vec<Mistake>,
    /// An InferencePool could not be read.
    pub(crate) pool_unread: bool,
}

/// Reads one manifest, or a list of them. Resources without a namespace get
/// `namespace`.
pub(crate) fn read_object(value: &Value, origin: Origin, namespace: &str) -> Read {
    let report = Report::new(origin);
    let mut read = Read::default();
    let node = Node::root(value, &report);
    read_node(&node, &report, namespace, LIST_DEPTH, &mut read);
    read.mistakes = report.into_mistakes();
    read
}

fn read_node<'v>(
    node: &Node<'v>,
    report: &'v Report,
    namespace: &str,
    depth: usize,
    read: &mut Read,
) {
    let Some(mut fields) = node.object() else {
        return;
    };
    let version = fields.required("apiVersion");
    let kind = fields.required("kind");
    let (Some(version), Some(kind)) = (version, kind) else {
        return;
    };
    let (Some(version), Some(kind)) = (version.text(), kind.text()) else {
        return;
    };
    if kind == "List" && version == "v1" {
        if depth == 0 {
            node.wrong("lists within lists within lists; write the items one by one");
            return;
        }
        for item in fields
            .required("items")
            .iter()
            .flat_map(|n| n.items(LIST_ITEMS))
        {
            read_node(&item, report, namespace, depth - 1, read);
        }
        return;
    }
    match Kind::of(version, kind) {
        Ok(Some(kind)) => {
            let resource = read_kind(kind, fields, node, report, namespace);
            read.pool_unread |= resource.is_none() && matches!(kind, Kind::Pool(_));
            read.resources.extend(resource);
        }
        Ok(None) => read.skipped.push(format!("{version} {kind}")),
        Err(reason) => node.wrong(reason),
    }
}

/// The kinds that are read.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Pool(PoolGroup),
    Policy,
    Model,
    Objective,
    Endpoints,
    Pod,
}

/// Ours, by the kind's name: each with the versions that are accepted.
const ACCEPTED: [(&str, &str, Kind); 7] = [
    (
        "InferencePool",
        "inference.networking.k8s.io/v1",
        Kind::Pool(PoolGroup::Stable),
    ),
    (
        "InferencePool",
        "inference.networking.x-k8s.io/v1alpha2",
        Kind::Pool(PoolGroup::Experimental),
    ),
    (
        "InferenceTrafficPolicy",
        "inferenceextension.alibabacloud.com/v1alpha1",
        Kind::Policy,
    ),
    (
        "InferenceModel",
        "inference.networking.x-k8s.io/v1alpha2",
        Kind::Model,
    ),
    (
        "InferenceObjective",
        "inference.networking.x-k8s.io/v1alpha2",
        Kind::Objective,
    ),
    ("KVAtlasEndpoints", "kvatlas/v1", Kind::Endpoints),
    ("Pod", "v1", Kind::Pod),
];

/// Groups whose every kind changes how requests are routed.
const ROUTING_GROUPS: [&str; 3] = [
    "inference.networking.k8s.io",
    "inference.networking.x-k8s.io",
    "kvatlas",
];

impl Kind {
    /// `None` where the kind says nothing to a picker.
    fn of(version: &str, kind: &str) -> Result<Option<Self>, String> {
        let mut versions = Vec::new();
        for (name, accepted, ours) in ACCEPTED {
            if name == kind && accepted == version {
                return Ok(Some(ours));
            }
            if name == kind {
                versions.push(accepted);
            }
        }
        let group = version.split('/').next().unwrap_or_default();
        if !versions.is_empty() && (kind != "Pod" || ROUTING_GROUPS.contains(&group)) {
            let accepted = versions.join(", ");
            let version = quoted(version);
            return Err(format!(
                "{kind} of apiVersion {version}; accepted: {accepted}"
            ));
        }
        if ROUTING_GROUPS.contains(&group) {
            let mut kinds: Vec<&str> = ACCEPTED.iter().map(|(name, ..)| *name).collect();
            kinds.dedup();
            return Err(format!(
                "{} of {} is not supported; accepted: {}",
                quoted(kind),
                quoted(version),
                kinds.join(", ")
            ));
        }
        Ok(None)
    }
}

fn read_kind<'v>(
    kind: Kind,
    mut fields: Fields<'v>,
    node: &Node<'v>,
    report: &'v Report,
    namespace: &str,
) -> Option<Resource> {
    if matches!(kind, Kind::Pod) {
        // A pod has hundreds of fields that are none of a picker's business.
        return file_pod(node, namespace).map(|pod| Resource::Pod(Box::new(pod)));
    }
    let head = Head::read(&mut fields, report.origin().clone(), namespace);
    let spec = fields.required("spec");
    fields.finish();
    let (head, mut spec) = (head?, spec?.object()?);
    let resource = match kind {
        Kind::Pool(group) => inference_pool(group, head, &mut spec).map(Resource::Pool),
        Kind::Policy => inference_traffic_policy(head, &mut spec).map(Resource::Policy),
        Kind::Model => inference_model(head, &mut spec).map(Resource::Model),
        Kind::Objective => inference_objective(head, &mut spec).map(Resource::Objective),
        Kind::Endpoints => endpoint_list(head, &mut spec).map(Resource::Endpoints),
        Kind::Pod => None,
    };
    spec.finish();
    resource
}

/// What all of our kinds have beside their spec.
pub(super) struct Head<'v> {
    pub(super) name: ResourceName,
    pub(super) origin: Origin,
    pub(super) annotations: Option<Node<'v>>,
}

impl<'v> Head<'v> {
    fn read(fields: &mut Fields<'v>, origin: Origin, namespace: &str) -> Option<Self> {
        fields.skip("status");
        // Labels, owners, managed fields and the like are the API server's.
        let mut metadata = fields.required("metadata")?.object()?;
        let name = metadata.required("name").as_ref().and_then(Node::text)?;
        let given = metadata.optional("namespace");
        let namespace = match &given {
            Some(node) => node.text()?,
            None => namespace,
        };
        Some(Self {
            name: ResourceName {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
            origin,
            annotations: metadata.optional("annotations"),
        })
    }
}
