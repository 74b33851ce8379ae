//! Addresses that endpoints of several clusters have.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use proto_model::Endpoint;

use super::view::{Directories, View};
use crate::replica::{Directory, Replicas};

/// Where a reply has room for an address only, an endpoint with one of these is
/// named with its cluster: what two engines hold must not be told as one's.
#[derive(Debug, Default)]
pub(crate) struct SharedAddresses(BTreeSet<String>);

impl SharedAddresses {
    /// Of all endpoints that are known now.
    pub(crate) fn of(replicas: &Replicas) -> Self {
        let view = View::of(replicas);
        let directories = view.directories();
        let mut clusters: BTreeMap<&str, &str> = BTreeMap::new();
        let mut shared = BTreeSet::new();
        for known in directories.iter().flat_map(Directory::publishers) {
            let (cluster, address) = (known.name.endpoint.cluster(), known.name.endpoint.address());
            if *clusters.entry(address).or_insert(cluster) != cluster {
                shared.insert(address.to_owned());
            }
        }
        Self(shared)
    }

    /// Of those among the endpoints.
    pub(crate) fn among<'a>(
        replicas: &Replicas,
        endpoints: impl Iterator<Item = &'a Endpoint>,
    ) -> Self {
        let view = View::of(replicas);
        let directories = view.directories();
        if in_one_cluster(&directories) {
            return Self::default();
        }
        let elsewhere = |endpoint: &&Endpoint| {
            let near = directories
                .iter()
                .flat_map(|directory| directory.at_address(endpoint.address()));
            let mut names = near.map(|known| &known.name.endpoint);
            names.any(|name| {
                name.address() == endpoint.address() && name.cluster() != endpoint.cluster()
            })
        };
        let shared = endpoints.filter(elsewhere);
        Self(
            shared
                .map(|endpoint| endpoint.address().to_owned())
                .collect(),
        )
    }

    /// The endpoint's address, if that says which endpoint it is.
    pub(crate) fn name<'a>(&self, endpoint: &'a Endpoint) -> Cow<'a, str> {
        match self.0.contains(endpoint.address()) {
            true => Cow::Owned(endpoint.to_string()),
            false => Cow::Borrowed(endpoint.address()),
        }
    }
}

/// Whether all endpoints that are known are of one cluster, as they nearly always
/// are: nothing needs to be looked up then.
fn in_one_cluster(directories: &Directories<'_>) -> bool {
    let filled = directories.iter().filter(|directory| !directory.is_empty());
    let mut clusters = filled.map(Directory::only_cluster);
    match clusters.next() {
        Some(first) => first.is_some() && clusters.all(|cluster| cluster == first),
        None => true,
    }
}
