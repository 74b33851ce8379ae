//! Which endpoint of which store a request means: the mapping of answers,
//! backwards.
//!
//! Answers list endpoints under their store's label, engines often announce
//! themselves by pod IP alone, and gateways route to `ip:port`. A route must end up
//! under the name that the engine's events have, or two endpoints would be listed
//! where there is one.

use std::collections::BTreeSet;

use proto_api::{Candidate, RouteEndpoint};
use proto_model::{Endpoint, EndpointError, Publisher, Rank};

use super::error::RouteError;
use crate::replica::{Directory, KnownPublisher, Replica, Replicas};

/// The store that the endpoint belongs to, by its place among the replicas.
pub(super) fn store_of(
    replicas: &Replicas,
    own: &str,
    endpoint: &RouteEndpoint,
) -> Result<usize, RouteError> {
    let only = (!replicas.are_several()).then(|| replicas.first());
    let cluster = match (endpoint.cluster(), only) {
        // There is nowhere else.
        (None, Some(_)) => return Ok(0),
        (Some(_), Some(only)) if only.label().is_none() => return Ok(0),
        (given, _) => given.unwrap_or(own),
    };
    let labelled = replicas
        .iter()
        .position(|replica| replica.label() == Some(cluster));
    if let Some(labelled) = labelled {
        return Ok(labelled);
    }
    // Without a label, endpoints are listed as they are called.
    let bare = replicas.iter().enumerate();
    let bare: Vec<_> = bare
        .filter(|(_, replica)| replica.label().is_none())
        .collect();
    let lists = |replica: &Replica| {
        let content = replica.content();
        let directory = content.directory();
        let name = Endpoint::new(cluster, endpoint.address()).ok()?;
        let known = at(&directory, name, None).next().is_some();
        known.then_some(())
    };
    match &bare[..] {
        [(only, _)] => Ok(*only),
        several => several
            .iter()
            .find(|(_, replica)| lists(replica).is_some())
            .map(|(store, _)| *store)
            .ok_or_else(|| unknown(replicas, cluster)),
    }
}

fn unknown(replicas: &Replicas, cluster: &str) -> RouteError {
    let names: Vec<_> = replicas.iter().map(|replica| replica.name()).collect();
    RouteError::UnknownCluster {
        given: cluster.chars().take(64).collect(),
        known: names.join(", "),
    }
}

/// An endpoint as a request names it, and the directory of its store.
pub(super) struct Given<'a> {
    directory: &'a Directory,
    /// As it is listed, if it is listed by this name.
    listed: Endpoint,
    /// As the store knows it, if it knows it by this name.
    own: Endpoint,
}

impl<'a> Given<'a> {
    pub(super) fn new(
        directory: &'a Directory,
        replica: &Replica,
        own: &str,
        endpoint: &RouteEndpoint,
    ) -> Result<Self, EndpointError> {
        let (address, named) = (endpoint.address(), endpoint.cluster().unwrap_or(own));
        let (listed, own) = match replica.label() {
            None => (named, named.to_owned()),
            // Until any is known, and where there are several, the label stands for it.
            Some(label) => (label, directory.own_cluster().unwrap_or(label).to_owned()),
        };
        Ok(Self {
            directory,
            listed: Endpoint::new(listed, address)?,
            own: Endpoint::new(&own, address)?,
        })
    }

    /// The publisher that a route is recorded for: as its events call it, if it
    /// can be told; else as routes were recorded before; else as it is given.
    pub(super) fn publisher(&self, rank: Rank) -> Publisher {
        let exact: Vec<_> = at(self.directory, self.listed.clone(), Some(rank)).collect();
        let mut by_events = exact
            .iter()
            .copied()
            .filter(|known| !known.is_routed_only());
        let known = by_events
            .next()
            .or_else(|| only(self.at_host(Some(rank))))
            .or_else(|| exact.first().copied());
        Publisher {
            endpoint: known.map_or_else(|| self.own.clone(), |known| self.own_name(known)),
            rank,
        }
    }

    /// The endpoints that are gone when this one is: all that are listed by its
    /// name, and the one of its events. As it is given if there is none.
    pub(super) fn endpoints(&self, rank: Option<Rank>) -> BTreeSet<Endpoint> {
        let exact = at(self.directory, self.listed.clone(), rank);
        let mut gone: BTreeSet<_> = exact.map(|known| self.own_name(known)).collect();
        let at_host = self.at_host(rank);
        let others: BTreeSet<_> = at_host.iter().map(|known| self.own_name(known)).collect();
        if others.len() == 1 && !gone.iter().any(|name| self.has_events(name)) {
            gone.extend(others);
        }
        if gone.is_empty() {
            gone.insert(self.own.clone());
        }
        gone
    }

    fn has_events(&self, own: &Endpoint) -> bool {
        let exact = at(self.directory, self.listed.clone(), None);
        exact
            .filter(|known| !known.is_routed_only())
            .any(|known| self.own_name(known) == *own)
    }

    /// Who is known by events under another form of the same address: a port is
    /// compared only if both sides have one.
    fn at_host(&self, rank: Option<Rank>) -> Vec<&'a KnownPublisher> {
        let (address, cluster) = (self.listed.address(), self.listed.cluster());
        let host = Candidate::host_of(address);
        let candidate = Candidate::from(self.listed.clone());
        let bare = [host.to_owned(), format!("[{host}]")];
        let bare = bare.iter().filter(|name| *name != address);
        let bare = bare.filter_map(|name| Endpoint::new(cluster, name).ok());
        let bare = bare.flat_map(|name| at(self.directory, name, rank));
        let with_port = [format!("{host}:"), format!("[{host}]:")];
        let with_port = with_port
            .iter()
            .flat_map(|prefix| beginning_with(self.directory, cluster, prefix, rank));
        let with_port = with_port.filter(|known| known.name.endpoint.address() != address);
        bare.chain(with_port)
            .filter(|known| !known.is_routed_only() && candidate.matches(&known.name))
            .collect()
    }

    fn own_name(&self, known: &KnownPublisher) -> Endpoint {
        let address = known.name.endpoint.address();
        let own = known.own_cluster.as_deref();
        let own = own.and_then(|cluster| Endpoint::new(cluster, address).ok());
        own.unwrap_or_else(|| known.name.endpoint.clone())
    }
}

/// The publishers that are listed by the endpoint's name.
fn at(
    directory: &Directory,
    endpoint: Endpoint,
    rank: Option<Rank>,
) -> impl Iterator<Item = &KnownPublisher> {
    let first = Publisher {
        endpoint,
        rank: rank.unwrap_or_default(),
    };
    let from = directory.publishers_from(Some(&first));
    from.take_while(move |known| known.name.endpoint == first.endpoint)
        .take_while(move |known| rank.is_none_or(|rank| known.name.rank == rank))
}

/// The publishers of a cluster whose address begins so, all of which follow one
/// another.
fn beginning_with<'a>(
    directory: &'a Directory,
    cluster: &str,
    prefix: &str,
    rank: Option<Rank>,
) -> impl Iterator<Item = &'a KnownPublisher> {
    let first = Endpoint::new(cluster, prefix)
        .ok()
        .map(|endpoint| Publisher {
            endpoint,
            rank: Rank(0),
        });
    let from = first.into_iter().flat_map(move |first| {
        let from = directory.publishers_from(Some(&first));
        from.take_while(move |known| {
            let (name, first) = (&known.name.endpoint, &first.endpoint);
            name.cluster() == first.cluster() && name.address().starts_with(first.address())
        })
    });
    from.filter(move |known| rank.is_none_or(|rank| known.name.rank == rank))
}

fn only<T>(mut found: Vec<T>) -> Option<T> {
    found.pop().filter(|_| found.is_empty())
}
