//! Everything read from the API server, and the view that follows from it. Pure:
//! changes in, views out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::kinds::Kind;
use crate::manifest::{
    InferenceModel, InferenceObjective, InferencePool, InferenceTrafficPolicy, Mistake, Mistakes,
    Origin, PodAddress, PoolGroup, Readiness, Resource, ResourceName, Rules, pod_address,
    read_object, rules_of,
};
use crate::view::{PoolEndpoint, PoolView};

/// The cluster as far as one pool goes.
pub(super) struct Cluster {
    pool: ResourceName,
    objects: BTreeMap<Kind, Objects>,
    pods: BTreeMap<String, PodAddress>,
    pods_listed: bool,
    /// The last rules that made sense.
    rules: Rules,
    synced: bool,
}

/// What matters of a pod.
#[derive(Debug)]
pub(super) struct NamedPod {
    name: String,
    seen: PodAddress,
}

impl NamedPod {
    pub(super) fn of(pod: &Pod) -> Self {
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            seen: pod_address(pod, Readiness::Told),
        }
    }
}

/// Objects of one kind.
#[derive(Default)]
struct Objects {
    /// Listed, or known not to be there.
    settled: bool,
    /// The API server knows the kind.
    known: bool,
    /// As each was last without mistakes.
    good: BTreeMap<String, Resource>,
    /// What is wrong with those that have mistakes now.
    wrong: BTreeMap<String, Vec<Mistake>>,
}

impl Cluster {
    pub(super) fn new(pool: ResourceName, kinds: &[Kind]) -> Self {
        let empty = |kind: &Kind| (*kind, Objects::default());
        Self {
            pool,
            objects: kinds.iter().map(empty).collect(),
            pods: BTreeMap::new(),
            pods_listed: false,
            rules: Rules::default(),
            synced: false,
        }
    }

    /// These are all objects of the kind.
    pub(super) fn listed(&mut self, kind: Kind, values: &[Value]) {
        let names: BTreeSet<String> = values.iter().map(name_of).collect();
        if let Some(objects) = self.objects.get_mut(&kind) {
            objects.settled = true;
            objects.known = true;
            objects.good.retain(|name, _| names.contains(name));
            objects.wrong.retain(|name, _| names.contains(name));
        }
        for value in values {
            self.applied(kind, value);
        }
    }

    /// An object as it is now; with mistakes, the last good one stays.
    pub(super) fn applied(&mut self, kind: Kind, value: &Value) {
        let name = name_of(value);
        let mine = kind_concerns(kind, value, &self.pool.name);
        let Some(objects) = self.objects.get_mut(&kind) else {
            return;
        };
        if !mine {
            objects.forget(&name);
            return;
        }
        let origin = Origin::Object {
            kind: kind.name(),
            namespace: self.pool.namespace.clone(),
            name: name.clone(),
        };
        let mut read = read_object(value, origin, &self.pool.namespace);
        match read.resources.pop() {
            Some(resource) if read.mistakes.is_empty() => {
                objects.wrong.remove(&name);
                objects.good.insert(name, resource);
            }
            _ => {
                objects.wrong.insert(name, read.mistakes);
            }
        }
    }

    pub(super) fn deleted(&mut self, kind: Kind, value: &Value) {
        if let Some(objects) = self.objects.get_mut(&kind) {
            objects.forget(&name_of(value));
        }
    }

    /// The API server does not know the kind.
    pub(super) fn absent(&mut self, kind: Kind) {
        if let Some(objects) = self.objects.get_mut(&kind) {
            *objects = Objects {
                settled: true,
                ..Objects::default()
            };
        }
    }

    /// What the kind says cannot be known, and nobody waits for it.
    pub(super) fn unreadable(&mut self, kind: Kind) {
        if let Some(objects) = self.objects.get_mut(&kind)
            && !kind.decides_endpoints()
        {
            objects.settled = true;
        }
    }

    pub(super) fn pods_listed(&mut self, pods: Vec<NamedPod>) {
        self.pods_listed = true;
        self.pods = pods.into_iter().map(|pod| (pod.name, pod.seen)).collect();
    }

    pub(super) fn pod_applied(&mut self, pod: NamedPod) {
        self.pods.insert(pod.name, pod.seen);
    }

    pub(super) fn pod_deleted(&mut self, pod: &NamedPod) {
        self.pods.remove(&pod.name);
    }

    /// Nobody follows the pods any more.
    pub(super) fn pods_unfollowed(&mut self) {
        self.pods.clear();
        self.pods_listed = false;
    }

    /// The pool, the stable one first.
    pub(super) fn pool(&self) -> Option<&InferencePool> {
        let of = |group| {
            let objects = self.objects.get(&Kind::Pool(group))?;
            match objects.good.get(&self.pool.name) {
                Some(Resource::Pool(pool)) => Some(pool),
                _ => None,
            }
        };
        PoolGroup::ALL.into_iter().find_map(of)
    }

    /// No group knows InferencePools, as far as is known.
    pub(super) fn pool_kind_absent(&self) -> bool {
        let mut pools = self.pools();
        pools.all(|objects| objects.settled && !objects.known)
    }

    fn pools(&self) -> impl Iterator<Item = &Objects> {
        let pools = self.objects.iter();
        pools
            .filter(|(kind, _)| matches!(kind, Kind::Pool(_)))
            .map(|(_, objects)| objects)
    }

    /// The pool as it stands, and what is wrong.
    pub(super) fn view(&mut self) -> (PoolView, Option<Mistakes>) {
        let mut mistakes: Vec<Mistake> = self
            .objects
            .values()
            .flat_map(|objects| objects.wrong.values().flatten())
            .cloned()
            .collect();
        let rules = match self.pool() {
            Some(pool) => rules_of(pool, self.policies(), self.models(), self.objectives()),
            None => Ok(Rules::default()),
        };
        match rules {
            Ok(rules) => self.rules = rules,
            Err(wrong) => mistakes.extend(wrong),
        }
        let settled = self.objects.values().all(|objects| objects.settled);
        let pods = self.pods_listed || self.pool().is_none();
        self.synced |= settled && pods && !self.pool_kind_absent();
        let view = PoolView {
            pool: self.pool.to_string(),
            synced: self.synced,
            endpoints: self.endpoints(true),
            strategy: self.rules.strategy.clone(),
            models: self.rules.models.clone(),
            objectives: self.rules.objectives.clone(),
        };
        (view, Mistakes::of(mistakes))
    }

    /// Everything has been listed once.
    pub(super) fn synced(&self) -> bool {
        self.synced
    }

    /// Endpoints that are there, ready or not.
    pub(super) fn present(&self) -> Vec<Arc<PoolEndpoint>> {
        self.endpoints(false)
    }

    fn endpoints(&self, ready_only: bool) -> Vec<Arc<PoolEndpoint>> {
        let Some(pool) = self.pool() else {
            return Vec::new();
        };
        let mut endpoints = BTreeMap::new();
        for (name, pod) in &self.pods {
            let (Some(ip), true) = (pod.ip, pool.selects(&pod.labels)) else {
                continue;
            };
            if ready_only && !pod.ready {
                continue;
            }
            for port in &pool.ports {
                let address = SocketAddr::new(ip, *port);
                endpoints.entry(address).or_insert_with(|| {
                    Arc::new(PoolEndpoint {
                        name: format!("{}/{name}", self.pool.namespace),
                        address,
                        labels: pod.labels.clone(),
                    })
                });
            }
        }
        endpoints.into_values().collect()
    }

    fn good(&self, kind: Kind) -> impl Iterator<Item = &Resource> {
        let objects = self.objects.get(&kind);
        objects
            .into_iter()
            .flat_map(|objects| objects.good.values())
    }

    fn policies(&self) -> impl Iterator<Item = &InferenceTrafficPolicy> {
        self.good(Kind::Policy)
            .filter_map(|resource| match resource {
                Resource::Policy(policy) => Some(policy),
                _ => None,
            })
    }

    fn models(&self) -> impl Iterator<Item = &InferenceModel> {
        self.good(Kind::Model)
            .filter_map(|resource| match resource {
                Resource::Model(model) => Some(model),
                _ => None,
            })
    }

    fn objectives(&self) -> impl Iterator<Item = &InferenceObjective> {
        self.good(Kind::Objective)
            .filter_map(|resource| match resource {
                Resource::Objective(objective) => Some(objective),
                _ => None,
            })
    }
}

impl Objects {
    fn forget(&mut self, name: &str) {
        self.good.remove(name);
        self.wrong.remove(name);
    }
}

fn name_of(value: &Value) -> String {
    let name = value.pointer("/metadata/name").and_then(Value::as_str);
    name.unwrap_or_default().to_owned()
}

/// Whether an object may mean the pool. Mistakes in those of other pools are
/// their pickers' business.
fn kind_concerns(kind: Kind, value: &Value, pool: &str) -> bool {
    if matches!(kind, Kind::Pool(_)) {
        return name_of(value) == pool;
    }
    let named = value.pointer("/spec/poolRef/name").and_then(Value::as_str);
    named.is_none_or(|named| named == pool)
}
