//! The endpoints that a request may go to.

use std::collections::HashSet;
use std::sync::Arc;

use router_discovery::{PoolEndpoint, PoolView};

use crate::Subset;

/// Ready endpoints of the pool that the subset allows, in the pool's order.
pub(super) fn of<'a>(view: &'a PoolView, subset: &Subset) -> Vec<&'a Arc<PoolEndpoint>> {
    let allowed = match subset {
        Subset::Whole => return view.endpoints.iter().collect(),
        Subset::Only(entries) => entries,
    };
    let allowed: HashSet<_> = allowed
        .iter()
        .map(|entry| (entry.ip.to_canonical(), entry.port))
        .collect();
    let endpoints = view.endpoints.iter().filter(|endpoint| {
        let ip = endpoint.address.ip().to_canonical();
        allowed.contains(&(ip, None)) || allowed.contains(&(ip, Some(endpoint.address.port())))
    });
    endpoints.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SubsetEntry;

    fn view(addresses: &[&str]) -> PoolView {
        let endpoint = |address: &&str| {
            Arc::new(PoolEndpoint {
                name: format!("default/{address}"),
                address: address.parse().unwrap(),
                labels: Default::default(),
            })
        };
        PoolView {
            endpoints: addresses.iter().map(endpoint).collect(),
            ..PoolView::default()
        }
    }

    fn only(entries: &[(&str, Option<u16>)]) -> Subset {
        let entries = entries.iter().map(|(ip, port)| SubsetEntry {
            ip: ip.parse().unwrap(),
            port: *port,
        });
        Subset::Only(entries.collect())
    }

    #[test]
    fn a_subset_is_never_left() {
        let view = view(&["10.0.0.1:80", "10.0.0.1:81", "10.0.0.2:80", "[fd00::1]:80"]);
        let picked = |subset: &Subset| -> Vec<String> {
            of(&view, subset)
                .iter()
                .map(|e| e.address.to_string())
                .collect()
        };
        assert_eq!(picked(&Subset::Whole).len(), 4);
        assert_eq!(picked(&only(&[])), Vec::<String>::new());
        assert_eq!(picked(&only(&[("10.0.0.9", None)])), Vec::<String>::new());
        let whole_address = only(&[("10.0.0.1", None)]);
        assert_eq!(picked(&whole_address), ["10.0.0.1:80", "10.0.0.1:81"]);
        let one_port = only(&[("10.0.0.1", Some(81)), ("10.0.0.2", Some(81))]);
        assert_eq!(picked(&one_port), ["10.0.0.1:81"]);
        assert_eq!(picked(&only(&[("fd00::1", Some(80))])), ["[fd00::1]:80"]);
        assert_eq!(picked(&only(&[("::ffff:10.0.0.2", None)])), ["10.0.0.2:80"]);
    }
}
