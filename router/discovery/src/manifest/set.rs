//! All manifests of the files together: which pool, its rules, its endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::endpoints::{EndpointList, ListedAddress};
use super::mistake::{Mistake, Origin};
use super::pod::{Readiness, pod_address};
use super::reference::PoolReference;
use super::resource::{Read, Resource, ResourceName};
use super::rules::{Rules, rules_of, wrong};
use super::{InferenceModel, InferenceObjective, InferencePool, InferenceTrafficPolicy, PoolGroup};
use crate::address::canonical;
use crate::view::PoolEndpoint;

/// Endpoints of one pool.
const MOST_ENDPOINTS: usize = 10_000;

/// Which InferencePool is meant. What is not said may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PoolChoice {
    pub(crate) name: Option<String>,
    pub(crate) namespace: Option<String>,
}

/// The manifests of all files.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    pools: Vec<InferencePool>,
    policies: Vec<InferenceTrafficPolicy>,
    models: Vec<InferenceModel>,
    objectives: Vec<InferenceObjective>,
    lists: Vec<EndpointList>,
    pods: Vec<(Origin, Pod)>,
    /// A pool could not be read, so references to it cannot be checked.
    pool_unread: bool,
}

/// What the files say of one pool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) pool: ResourceName,
    pub(crate) rules: Rules,
    /// Ready endpoints, by address.
    pub(crate) endpoints: Vec<Arc<PoolEndpoint>>,
    /// Endpoints that are there and not ready.
    pub(crate) unready: Vec<Arc<PoolEndpoint>>,
    /// Why there are none, where nobody asked for that.
    pub(crate) lacking: Option<String>,
}

impl Manifests {
    /// Takes what one document gave; its mistakes are the caller's.
    pub(crate) fn add(&mut self, origin: &Origin, read: Read) {
        self.pool_unread |= read.pool_unread;
        for resource in read.resources {
            match resource {
                Resource::Pool(pool) => self.pools.push(pool),
                Resource::Policy(policy) => self.policies.push(policy),
                Resource::Model(model) => self.models.push(model),
                Resource::Objective(objective) => self.objectives.push(objective),
                Resource::Endpoints(list) => self.lists.push(list),
                Resource::Pod(pod) => self.pods.push((origin.clone(), *pod)),
            }
        }
    }

    /// Something could not be read, perhaps a pool.
    pub(crate) fn incomplete(&mut self) {
        self.pool_unread = true;
    }

    /// The chosen pool with its rules and endpoints, and those of `fixed`. Every
    /// mistake is told, also of pools that were not chosen.
    pub(crate) fn resolve(
        &self,
        choice: &PoolChoice,
        fixed: &[PoolEndpoint],
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Resolved> {
        self.check_names(mistakes);
        self.check_references(mistakes);
        let mut rules = BTreeMap::new();
        for pool in &self.pools {
            match rules_of(pool, &self.policies, &self.models, &self.objectives) {
                Ok(found) => {
                    rules.insert((&pool.name, pool.group), found);
                }
                Err(found) => mistakes.extend(found),
            }
        }
        let pool = self.choose(choice, mistakes)?;
        let mut found = Endpoints::default();
        self.endpoints(pool, fixed, &mut found, mistakes);
        Some(Resolved {
            lacking: self.lacking(pool, &found),
            pool: pool.name.clone(),
            rules: rules.remove(&(&pool.name, pool.group))?,
            endpoints: found.ready.into_values().collect(),
            unready: found.unready.into_values().collect(),
        })
    }

    fn check_names(&self, mistakes: &mut Vec<Mistake>) {
        fn twice<'m>(
            kind: &str,
            named: impl Iterator<Item = (&'m ResourceName, Option<PoolGroup>, &'m Origin)>,
            mistakes: &mut Vec<Mistake>,
        ) {
            let mut seen = BTreeMap::new();
            for (name, group, origin) in named {
                if let Some(first) = seen.insert((name, group), origin) {
                    let reason = format!("{kind} {name} is there already, in {first}");
                    mistakes.push(wrong(origin, "metadata.name", reason));
                }
            }
        }
        let pools = self
            .pools
            .iter()
            .map(|p| (&p.name, Some(p.group), &p.origin));
        twice("InferencePool", pools, mistakes);
        let policies = self.policies.iter().map(|p| (&p.name, None, &p.origin));
        twice("InferenceTrafficPolicy", policies, mistakes);
        let models = self.models.iter().map(|m| (&m.name, None, &m.origin));
        twice("InferenceModel", models, mistakes);
        let objectives = self.objectives.iter().map(|o| (&o.name, None, &o.origin));
        twice("InferenceObjective", objectives, mistakes);
        let lists = self.lists.iter().map(|l| (&l.name, None, &l.origin));
        twice("KVAtlasEndpoints", lists, mistakes);
    }

    fn check_references(&self, mistakes: &mut Vec<Mistake>) {
        if self.pool_unread {
            return;
        }
        let mut check = |name: &ResourceName, pool: &PoolReference, origin: &Origin| {
            let found = self.pools.iter().any(|candidate| {
                candidate.name.namespace == name.namespace
                    && pool.means(candidate.group, &candidate.name.name)
            });
            if !found {
                let namespace = &name.namespace;
                let there = self.pool_names();
                let reason = format!(
                    "there is no InferencePool {pool} in namespace {namespace}; there are: {there}"
                );
                mistakes.push(wrong(origin, "spec.poolRef", reason));
            }
        };
        for policy in &self.policies {
            check(&policy.name, &policy.pool, &policy.origin);
        }
        for model in &self.models {
            check(&model.name, &model.pool, &model.origin);
        }
        for objective in &self.objectives {
            check(&objective.name, &objective.pool, &objective.origin);
        }
        for list in &self.lists {
            if let Some(pool) = &list.pool {
                check(&list.name, pool, &list.origin);
            }
        }
    }

    fn pool_names(&self) -> String {
        let names: BTreeSet<String> = self.pools.iter().map(|p| p.name.to_string()).collect();
        if names.is_empty() {
            return "none".to_owned();
        }
        names.into_iter().collect::<Vec<_>>().join(", ")
    }

    fn choose(&self, choice: &PoolChoice, mistakes: &mut Vec<Mistake>) -> Option<&InferencePool> {
        let wanted = |pool: &&InferencePool| {
            let name = choice.name.as_ref();
            let namespace = choice.namespace.as_ref();
            name.is_none_or(|name| *name == pool.name.name)
                && namespace.is_none_or(|namespace| *namespace == pool.name.namespace)
        };
        let mut found: Vec<&InferencePool> = self.pools.iter().filter(wanted).collect();
        // The same pool in both groups is a pool on its way to the stable one.
        found.sort_by_key(|pool| (&pool.name, pool.group));
        found.dedup_by_key(|pool| &pool.name);
        let reason = match found[..] {
            [pool] => return Some(pool),
            [] if self.pool_unread => return None,
            [] => {
                let name = choice.name.as_deref().unwrap_or("any name");
                let there = self.pool_names();
                format!("no InferencePool of {name} is in the manifests; there are: {there}")
            }
            _ => {
                let there = self.pool_names();
                format!("several InferencePools; choose one by name and namespace: {there}")
            }
        };
        mistakes.push(wrong(&Origin::Settings, "pool", reason));
        None
    }

    fn endpoints(
        &self,
        pool: &InferencePool,
        fixed: &[PoolEndpoint],
        found: &mut Endpoints,
        mistakes: &mut Vec<Mistake>,
    ) {
        for endpoint in fixed {
            found.add(
                &Origin::Settings,
                "endpoints",
                endpoint.clone(),
                true,
                mistakes,
            );
        }
        for list in &self.lists {
            self.listed(pool, list, found, mistakes);
        }
        for (origin, pod) in &self.pods {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            let seen = pod_address(pod, Readiness::Assumed);
            let (Some(ip), true) = (seen.ip, pool.selects(&seen.labels)) else {
                continue;
            };
            if namespace != pool.name.namespace {
                continue;
            }
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            for port in &pool.ports {
                let endpoint = PoolEndpoint {
                    name: format!("{namespace}/{name}"),
                    address: SocketAddr::new(ip, *port),
                    labels: seen.labels.clone(),
                };
                found.add(origin, "status.podIP", endpoint, seen.ready, mistakes);
            }
        }
        let count = found.ready.len() + found.unready.len();
        if count > MOST_ENDPOINTS {
            let reason = format!("{count} endpoints; accepted: at most {MOST_ENDPOINTS}");
            mistakes.push(wrong(&pool.origin, "", reason));
        }
    }

    /// A list without endpoints is there on purpose, and pods that are unready
    /// may become ready; else somebody forgot to say where the endpoints are.
    fn lacking(&self, pool: &InferencePool, found: &Endpoints) -> Option<String> {
        let some = !found.ready.is_empty() || !found.unready.is_empty();
        if some || self.lists.iter().any(|list| self.is_of(list, pool)) {
            return None;
        }
        let pods = match self.pods.len() {
            0 => "no Pod".to_owned(),
            pods => format!("none of {pods} Pods with its labels and an address in its namespace"),
        };
        let pool = &pool.name;
        Some(format!(
            "the InferencePool {pool} has no endpoints: there is no KVAtlasEndpoints for it, and \
             {pods}; name them with --endpoint ip:port or in a KVAtlasEndpoints manifest, or \
             follow the pods of a cluster with --kubernetes --pool-name {}",
            pool.name
        ))
    }

    fn is_of(&self, list: &EndpointList, pool: &InferencePool) -> bool {
        match &list.pool {
            Some(reference) => {
                list.name.namespace == pool.name.namespace
                    && reference.means(pool.group, &pool.name.name)
            }
            None => self.pools.len() == 1,
        }
    }

    fn listed(
        &self,
        pool: &InferencePool,
        list: &EndpointList,
        found: &mut Endpoints,
        mistakes: &mut Vec<Mistake>,
    ) {
        if !self.is_of(list, pool) {
            if list.pool.is_none() {
                let reason = format!(
                    "missing, and there are several InferencePools: {}",
                    self.pool_names()
                );
                mistakes.push(wrong(&list.origin, "spec.poolRef", reason));
            }
            return;
        }
        for listed in &list.endpoints {
            let addresses = match listed.address {
                ListedAddress::Port(address) => vec![address],
                ListedAddress::PoolPorts(ip) => {
                    let at = |port: &u16| SocketAddr::new(ip, *port);
                    pool.ports.iter().map(at).collect()
                }
            };
            for address in addresses {
                let endpoint = PoolEndpoint {
                    name: listed.name.clone().unwrap_or_else(|| address.to_string()),
                    address,
                    labels: listed.labels.clone(),
                };
                found.add(&list.origin, &listed.path, endpoint, true, mistakes);
            }
        }
    }
}

#[derive(Default)]
struct Endpoints {
    ready: BTreeMap<SocketAddr, Arc<PoolEndpoint>>,
    unready: BTreeMap<SocketAddr, Arc<PoolEndpoint>>,
}

impl Endpoints {
    fn add(
        &mut self,
        origin: &Origin,
        path: &str,
        mut endpoint: PoolEndpoint,
        ready: bool,
        mistakes: &mut Vec<Mistake>,
    ) {
        let address = canonical(endpoint.address);
        endpoint.address = address;
        let other = self
            .ready
            .get(&address)
            .or_else(|| self.unready.get(&address));
        if let Some(other) = other {
            let reason = format!("{address} is already the endpoint {:?}", other.name);
            mistakes.push(wrong(origin, path, reason));
            return;
        }
        let kept = if ready {
            &mut self.ready
        } else {
            &mut self.unready
        };
        kept.insert(address, Arc::new(endpoint));
    }
}
