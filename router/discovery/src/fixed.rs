//! Endpoints that are named once and for all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::address::canonical;
use crate::manifest::{Mistake, Mistakes, Origin};
use crate::source::{self, Discovery};
use crate::view::{PoolEndpoint, PoolView, Strategy};

/// An endpoint that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("endpoint {given:?} is not accepted; accepted: ip:port, [ip]:port, ip:port=name")]
pub struct EndpointError {
    given: String,
}

/// Reads `ip:port` or `ip:port=name`; without a name it is named after its
/// address. Names of hosts are not accepted: an endpoint is one address.
///
/// # Errors
/// [`EndpointError`] for anything else.
pub fn parse_endpoint(given: &str) -> Result<PoolEndpoint, EndpointError> {
    let wrong = || EndpointError {
        given: given.chars().take(100).collect(),
    };
    let (address, name) = match given.split_once('=') {
        Some((_, "")) => return Err(wrong()),
        Some((address, name)) => (address, Some(name)),
        None => (given, None),
    };
    let address: SocketAddr = address.parse().map_err(|_| wrong())?;
    if address.port() == 0 {
        return Err(wrong());
    }
    let address = canonical(address);
    Ok(PoolEndpoint {
        name: name.map_or_else(|| address.to_string(), str::to_owned),
        address,
        labels: BTreeMap::new(),
    })
}

/// A pool of endpoints that never changes, so that nothing ever departs from it.
///
/// # Errors
/// [`Mistakes`] where an address comes twice, or there is no endpoint.
pub fn fixed_pool(
    pool: &str,
    mut endpoints: Vec<PoolEndpoint>,
    strategy: Strategy,
) -> Result<Discovery, Mistakes> {
    let mut mistakes = Vec::new();
    let mut wrong = |reason: String| {
        mistakes.push(Mistake {
            origin: Origin::Settings,
            path: "endpoints".to_owned(),
            reason,
        });
    };
    if endpoints.is_empty() {
        wrong("no endpoint; accepted: at least one ip:port".to_owned());
    }
    let mut seen = BTreeSet::new();
    for endpoint in &mut endpoints {
        endpoint.address = canonical(endpoint.address);
        if !seen.insert(endpoint.address) {
            wrong(format!("{} comes twice", endpoint.address));
        }
    }
    endpoints.sort_by_key(|endpoint| endpoint.address);
    let view = PoolView {
        pool: pool.to_owned(),
        synced: true,
        endpoints: endpoints.into_iter().map(Arc::new).collect(),
        strategy,
        ..PoolView::default()
    };
    Mistakes::unless_any(mistakes, view).map(source::fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_addresses_with_or_without_a_name() {
        let plain = parse_endpoint("10.0.0.1:8000").expect("fine");
        assert_eq!(
            (plain.name.as_str(), plain.address.port()),
            ("10.0.0.1:8000", 8000)
        );
        let named = parse_endpoint("[fd00::1]:8000=a=b").expect("fine");
        assert_eq!(named.name, "a=b");
        assert!(named.address.is_ipv6());
        for wrong in [
            "",
            "10.0.0.1",
            "10.0.0.1:0",
            "host:80",
            "10.0.0.1:80=",
            "10.0.0.1:99999",
        ] {
            let error = parse_endpoint(wrong).expect_err(wrong);
            assert!(error.to_string().contains("ip:port"));
        }
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_address() {
        let mapped = parse_endpoint("[::ffff:127.0.0.1]:8000").expect("fine");
        assert_eq!(mapped, parse_endpoint("127.0.0.1:8000").expect("fine"));
        let unmapped = PoolEndpoint {
            address: "[::ffff:127.0.0.1]:8000".parse().expect("fine"),
            ..mapped.clone()
        };
        let twice = fixed_pool("fixed", vec![mapped, unmapped], Strategy::LoadOnly);
        let told = twice.expect_err("one address").to_string();
        assert!(told.contains("127.0.0.1:8000 comes twice"), "{told}");
    }

    #[test]
    fn a_fixed_pool_is_synced_at_once() {
        let endpoints = vec![
            parse_endpoint("10.0.0.2:1").expect("fine"),
            parse_endpoint("10.0.0.1:1").expect("fine"),
        ];
        let pool = fixed_pool("fixed", endpoints, Strategy::LoadOnly).expect("fine");
        let view = Arc::clone(&pool.views().borrow());
        assert!(view.synced && pool.status().borrow().synced);
        assert_eq!(view.endpoints[0].name, "10.0.0.1:1");
    }

    #[test]
    fn an_address_twice_and_no_endpoint_are_mistakes() {
        let twice = vec![parse_endpoint("10.0.0.1:1").expect("fine"); 2];
        let error = fixed_pool("fixed", twice, Strategy::LoadOnly).expect_err("twice");
        assert!(error.to_string().contains("10.0.0.1:1 comes twice"));
        let error = fixed_pool("fixed", Vec::new(), Strategy::LoadOnly).expect_err("none");
        assert_eq!(error.count(), 1);
    }
}
