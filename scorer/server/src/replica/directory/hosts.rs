//! Publishers by address: a question about some of them must not cost more because
//! there are others, which anybody who records routes can make up.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto_api::Candidate;

use super::Key;

/// The publishers of one host, by port.
type Ports = BTreeMap<Option<Box<str>>, BTreeSet<Key>>;

/// The publishers of each host.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<Box<str>, Ports>);

impl Hosts {
    pub(super) fn add(&mut self, key: &Key) {
        let (host, port) = place(key);
        let ports = self.0.entry(host.into()).or_default();
        let keys = ports.entry(port.map(Box::from)).or_default();
        keys.insert(key.clone());
    }

    pub(super) fn remove(&mut self, key: &Key) {
        let (host, port) = place(key);
        let port = port.map(Box::from);
        let Some(ports) = self.0.get_mut(host) else {
            return;
        };
        if let Some(keys) = ports.get_mut(&port) {
            keys.remove(key);
            if keys.is_empty() {
                ports.remove(&port);
            }
        }
        if ports.is_empty() {
            self.0.remove(host);
        }
    }

    /// Those at the address: a port is compared only if both sides have one.
    pub(super) fn at(&self, address: &str) -> impl Iterator<Item = &Key> {
        let (host, port) = (Candidate::host_of(address), Candidate::port_of(address));
        let ports = self.0.get(host);
        let (every, same) = match port {
            None => (ports, None),
            Some(port) => (None, ports.zip(Some(Box::<str>::from(port)))),
        };
        let same = same.into_iter().flat_map(|(ports, port)| {
            let keys = [ports.get(&None), ports.get(&Some(port))];
            keys.into_iter().flatten()
        });
        every
            .into_iter()
            .flat_map(BTreeMap::values)
            .chain(same)
            .flatten()
    }
}

fn place(key: &Key) -> (&str, Option<&str>) {
    let address = key.0.endpoint.address();
    (Candidate::host_of(address), Candidate::port_of(address))
}

#[cfg(test)]
mod tests {
    use proto_model::{Publisher, Rank};

    use super::*;

    fn key(endpoint: &str, rank: u32) -> Key {
        let endpoint = endpoint.parse().expect("an endpoint");
        let rank = Rank(rank);
        (Publisher { endpoint, rank }, None)
    }

    #[test]
    fn only_those_at_the_address_are_looked_at() {
        let mut hosts = Hosts::default();
        for port in 0..1000 {
            hosts.add(&key(&format!("a/10.0.0.1:{}", 2000 + port), 0));
            hosts.add(&key(&format!("a/10.9.{}.{}:80", port / 250, port % 250), 0));
        }
        for name in ["a/10.0.0.1", "b/10.0.0.1:80", "a/[::1]:80", "a/::1"] {
            hosts.add(&key(name, 0));
            hosts.add(&key(name, 1));
        }
        let names = |address: &str| {
            let found = hosts.at(address);
            let names: Vec<_> = found.map(|key| key.0.to_string()).collect();
            names
        };
        let expected = [
            "a/10.0.0.1#0",
            "a/10.0.0.1#1",
            "b/10.0.0.1:80#0",
            "b/10.0.0.1:80#1",
        ];
        assert_eq!(names("10.0.0.1:80"), expected);
        assert_eq!(names("10.0.0.1:2007")[2..], ["a/10.0.0.1:2007#0"]);
        assert_eq!(hosts.at("10.0.0.1").count(), 1004);
        assert_eq!(hosts.at("[::1]:80").count(), 4);
        assert_eq!(names("10.0.0.2:80"), Vec::<String>::new());
        for name in ["a/10.0.0.1", "b/10.0.0.1:80"] {
            hosts.remove(&key(name, 0));
            hosts.remove(&key(name, 1));
        }
        assert_eq!(hosts.at("10.0.0.1:80").count(), 0);
        assert_eq!(hosts.at("10.0.0.1").count(), 1000);
    }
}
