//! `KVAtlasEndpoints`: a manifest of our own, which says in a file what pods say
//! in a cluster.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::fields::{Fields, Node};
use super::mistake::Origin;
use super::reference::{PoolReference, optional_pool_reference};
use super::resource::{Head, ResourceName};
use crate::address::canonical;

/// Endpoints of one list.
const MOST_ENDPOINTS: usize = 10_000;

/// Endpoints that a file names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EndpointList {
    pub(crate) name: ResourceName,
    pub(crate) origin: Origin,
    /// `None`: the only pool of the files.
    pub(crate) pool: Option<PoolReference>,
    pub(crate) endpoints: Vec<ListedEndpoint>,
}

/// One endpoint of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ListedEndpoint {
    /// `None`: named after its address.
    pub(crate) name: Option<String>,
    pub(crate) address: ListedAddress,
    pub(crate) labels: BTreeMap<String, String>,
    /// Where it stands in its manifest.
    pub(crate) path: String,
}

/// Where a listed endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListedAddress {
    /// One port.
    Port(SocketAddr),
    /// Every port of the pool.
    PoolPorts(IpAddr),
}

pub(super) fn endpoint_list(head: Head<'_>, spec: &mut Fields<'_>) -> Option<EndpointList> {
    let pool = optional_pool_reference(spec);
    let listed = spec.required("endpoints")?;
    let items = listed.items(MOST_ENDPOINTS);
    let whole = listed.value.as_array()?.len();
    let endpoints: Vec<ListedEndpoint> = items.iter().filter_map(endpoint).collect();
    if endpoints.len() != whole {
        return None;
    }
    Some(EndpointList {
        name: head.name,
        origin: head.origin,
        pool: pool?,
        endpoints,
    })
}

fn endpoint(item: &Node<'_>) -> Option<ListedEndpoint> {
    let mut fields = item.object()?;
    let name = fields.optional("name").map(|node| node.text());
    let labels = fields.optional("labels").map(|node| node.labels());
    let address = fields.required("address").as_ref().and_then(address);
    fields.finish();
    if name == Some(None) {
        return None;
    }
    Some(ListedEndpoint {
        name: name.flatten().map(str::to_owned),
        address: address?,
        labels: labels.unwrap_or_default(),
        path: item.path.clone(),
    })
}

fn address(node: &Node<'_>) -> Option<ListedAddress> {
    let text = node.text()?;
    let with_port = text.parse::<SocketAddr>().ok().filter(|a| a.port() != 0);
    let found = with_port
        .map(|address| ListedAddress::Port(canonical(address)))
        .or_else(|| {
            let ip = text.parse::<IpAddr>().ok()?;
            Some(ListedAddress::PoolPorts(ip.to_canonical()))
        });
    if found.is_none() {
        node.not("ip, ip:port or [ip]:port, as numbers");
    }
    found
}
