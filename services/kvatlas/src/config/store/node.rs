//! What a node of the replicated store needs.

use serde::{Deserialize, Serialize};
use services_runtime::config::{ByteSize, HumanDuration, Mistakes};

use super::StoreSection;
use crate::config::host_port;

/// How nodes agree. The same on all nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RaftSection {
    /// Silence after which a leader counts as lost, and until which nobody else is
    /// voted for.
    pub(crate) election_timeout_min: HumanDuration,
    /// The latest that a node stands for election, counted from the leader's last
    /// word.
    pub(crate) election_timeout_max: HumanDuration,
    /// How often a leader speaks when there is nothing to say.
    pub(crate) heartbeat_interval: HumanDuration,
    /// The log is replaced by a snapshot when it has grown by this much.
    pub(crate) log_bytes: ByteSize,
    /// How long an append may take; its outcome is unknown then.
    pub(crate) append_timeout: HumanDuration,
    /// A node that has not stood at the cluster's head for so long sends its
    /// readers away.
    pub(crate) contact_max: HumanDuration,
}

impl Default for RaftSection {
    fn default() -> Self {
        Self {
            election_timeout_min: HumanDuration::from_millis(800),
            election_timeout_max: HumanDuration::from_millis(1_500),
            heartbeat_interval: HumanDuration::from_millis(200),
            log_bytes: ByteSize::mib(128),
            append_timeout: HumanDuration::from_secs(10),
            contact_max: HumanDuration::from_secs(5),
        }
    }
}

impl RaftSection {
    /// The relations that a node needs; the node itself checks them again.
    fn check(&self, mistakes: &mut Mistakes) {
        let heartbeat = self.heartbeat_interval.duration();
        if heartbeat.as_millis() < 10 {
            mistakes.push(
                "store.raft.heartbeat_interval",
                self.heartbeat_interval,
                "at least 10ms",
            );
        }
        if self.election_timeout_min.duration() < heartbeat * 3 {
            mistakes.push(
                "store.raft.election_timeout_min",
                self.election_timeout_min,
                format!(
                    "at least three of heartbeat_interval ({})",
                    self.heartbeat_interval
                ),
            );
        }
        if self.election_timeout_max <= self.election_timeout_min {
            mistakes.push(
                "store.raft.election_timeout_max",
                self.election_timeout_max,
                format!(
                    "more than election_timeout_min ({})",
                    self.election_timeout_min
                ),
            );
        }
        if self.contact_max < self.election_timeout_max {
            mistakes.push(
                "store.raft.contact_max",
                self.contact_max,
                format!(
                    "at least election_timeout_max ({})",
                    self.election_timeout_max
                ),
            );
        }
        if self.log_bytes.bytes() < 1 << 20 {
            mistakes.push("store.raft.log_bytes", self.log_bytes, "at least 1MiB");
        }
    }
}

impl StoreSection {
    /// What others reach this node by: as told, as `peers` says, or where it
    /// listens if that is one address.
    pub(crate) fn advertised(&self) -> Option<String> {
        let listened = || {
            let wide = ["", "0.0.0.0", "::"].contains(&self.listen.host());
            (!wide && self.listen.port() != 0).then(|| self.listen.to_string())
        };
        self.advertise
            .clone()
            .or_else(|| self.peers.get(&self.node_id?.to_string()).cloned())
            .or_else(listened)
    }

    /// The nodes of the first cluster by their number.
    pub(crate) fn numbered_peers(&self) -> impl Iterator<Item = (u64, String)> {
        self.peers
            .iter()
            .filter_map(|(id, address)| Some((id.parse().ok()?, address.clone())))
    }

    pub(super) fn check_node(&self, mistakes: &mut Mistakes) {
        match self.node_id {
            None => mistakes.push(
                "store.node_id",
                "nothing",
                "a number from 1 that no other node has or ever had",
            ),
            Some(0) => mistakes.push("store.node_id", 0, "a number from 1"),
            Some(_) => {}
        }
        match (&self.advertise, self.advertised()) {
            (Some(address), _) => host_port::check("store.advertise", address, mistakes),
            (None, None) => mistakes.push(
                "store.advertise",
                format!("nothing, and store.listen is {}", self.listen),
                "the host:port that other processes reach this node by",
            ),
            (None, Some(_)) => {}
        }
        self.check_peers(mistakes);
        self.raft.check(mistakes);
        let same_port = self.listen.port() == self.http.port() && self.listen.port() != 0;
        if same_port && self.listen.host() == self.http.host() {
            mistakes.push("store.http", &self.http, "another port than store.listen");
        }
    }

    fn check_peers(&self, mistakes: &mut Mistakes) {
        for (id, address) in &self.peers {
            if id.parse::<u64>().is_ok_and(|id| id > 0) {
                host_port::check(format!("store.peers.{id}"), address, mistakes);
            } else {
                mistakes.push("store.peers", format!("the node {id:?}"), "numbers from 1");
            }
        }
        if self.bootstrap && self.peers.is_empty() {
            mistakes.push(
                "store.bootstrap",
                "true, but no store.peers",
                "the nodes of the first cluster in store.peers",
            );
        }
        let own = self.node_id.map(|id| id.to_string());
        let listed = own.as_ref().and_then(|own| self.peers.get(own));
        match (&own, listed, &self.advertise) {
            (Some(own), None, _) if !self.peers.is_empty() => mistakes.push(
                "store.peers",
                format!("no node {own}, which is this one"),
                "all nodes of the first cluster, this one too",
            ),
            (Some(own), Some(listed), Some(told)) if listed != told => mistakes.push(
                format!("store.peers.{own}"),
                format!("{listed}, but store.advertise is {told}"),
                "one address for this node",
            ),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn mistakes_of(section: &StoreSection) -> String {
        let mut mistakes = Mistakes::new();
        section.check_node(&mut mistakes);
        mistakes
            .into_result()
            .map_or_else(|errors| errors.to_string(), |()| String::new())
    }

    #[test]
    fn a_node_needs_a_number_and_an_address() {
        let said = mistakes_of(&StoreSection::default());
        assert!(said.contains("store.node_id"), "{said}");
        assert!(said.contains("store.advertise"), "{said}");
        let right = StoreSection {
            node_id: Some(1),
            advertise: Some("store-1:7400".to_owned()),
            ..StoreSection::default()
        };
        assert_eq!(mistakes_of(&right), "");
    }

    #[test]
    fn the_address_is_taken_from_the_peers() {
        let peers = [("1", "a:1"), ("2", "b:2")].map(|(id, to)| (id.to_owned(), to.to_owned()));
        let section = StoreSection {
            node_id: Some(2),
            peers: BTreeMap::from(peers),
            ..StoreSection::default()
        };
        assert_eq!(section.advertised().as_deref(), Some("b:2"));
        assert_eq!(mistakes_of(&section), "");
        let other = StoreSection {
            advertise: Some("c:3".to_owned()),
            ..section.clone()
        };
        assert!(mistakes_of(&other).contains("store.peers.2"));
        let stranger = StoreSection {
            node_id: Some(3),
            ..section
        };
        assert!(mistakes_of(&stranger).contains("no node 3"));
    }
}
