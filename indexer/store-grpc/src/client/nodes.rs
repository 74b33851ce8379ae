//! The nodes, and where a watch goes first.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A node that failed is tried after all others for so long.
const AVOIDED_FOR: Duration = Duration::from_secs(5);

/// The configured nodes, in an order of this client's own, so that many clients
/// spread over all of them.
#[derive(Debug)]
pub(super) struct Nodes {
    addresses: Vec<String>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The node that served last.
    good: Option<String>,
    failed: HashMap<String, Instant>,
}

impl Nodes {
    /// `addresses` must not be empty.
    pub(super) fn new(mut addresses: Vec<String>) -> Self {
        addresses.dedup();
        let begin = rand::random_range(0..addresses.len());
        addresses.rotate_left(begin);
        Self {
            addresses,
            seen: Mutex::default(),
        }
    }

    pub(super) fn first(&self) -> &str {
        &self.addresses[0]
    }

    pub(super) fn len(&self) -> usize {
        self.addresses.len()
    }

    /// The node after this one; the first, after one that is not in the list.
    pub(super) fn after(&self, address: &str) -> &str {
        let place = self.addresses.iter().position(|other| other == address);
        let next = place.map_or(0, |place| (place + 1) % self.addresses.len());
        &self.addresses[next]
    }

    /// All nodes: the one that served last, then the others, those that failed
    /// lately at the end.
    pub(super) fn in_order(&self) -> Vec<String> {
        let seen = self.seen.lock();
        let mut ordered = self.addresses.clone();
        // Stable, so that this client's own order is kept within each group.
        ordered.sort_by_key(|address| {
            let good = seen.good.as_ref() == Some(address);
            (seen.is_avoided(address), !good)
        });
        ordered
    }

    /// Whether the node failed lately.
    pub(super) fn is_avoided(&self, address: &str) -> bool {
        self.seen.lock().is_avoided(address)
    }

    pub(super) fn served(&self, address: &str) {
        let mut seen = self.seen.lock();
        seen.failed.remove(address);
        seen.good = Some(address.to_owned());
    }

    pub(super) fn failed(&self, address: &str) {
        let mut seen = self.seen.lock();
        seen.failed.insert(address.to_owned(), Instant::now());
    }
}

impl Seen {
    fn is_avoided(&self, address: &str) -> bool {
        let failed = self.failed.get(address);
        failed.is_some_and(|since| since.elapsed() < AVOIDED_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_good_one_comes_first_and_failed_ones_last() {
        let all = ["a:1", "b:1", "c:1"].map(str::to_owned).to_vec();
        let nodes = Nodes::new(all);
        nodes.served("b:1");
        assert_eq!(nodes.in_order()[0], "b:1");
        nodes.failed("b:1");
        assert_eq!(nodes.in_order()[2], "b:1");
        nodes.served("b:1");
        assert_eq!(nodes.in_order()[0], "b:1");
    }

    #[test]
    fn a_walk_meets_every_node_also_from_a_stranger() {
        let nodes = Nodes::new(["a:1", "b:1", "c:1"].map(str::to_owned).to_vec());
        let mut at = nodes.after("hinted:1").to_owned();
        let mut met = Vec::new();
        for _ in 0..nodes.len() {
            met.push(at.clone());
            at = nodes.after(&at).to_owned();
        }
        met.sort();
        assert_eq!(met, ["a:1", "b:1", "c:1"]);
    }
}
