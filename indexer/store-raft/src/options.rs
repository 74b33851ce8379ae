//! What a node can be told.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use indexer_store::HistoryOptions;
use tonic::transport::ClientTlsConfig;

use crate::disk::DiskOptions;
use crate::types::NodeId;

/// Settings of a node. [`RaftOptions::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct RaftOptions {
    /// The node's number. Never used again for other data.
    pub node_id: NodeId,
    /// `host:port` where other nodes and clients reach this node's gRPC port.
    pub advertise: String,
    /// The directory that the node keeps its log and snapshots in.
    pub data: PathBuf,
    /// How the directory is used. Its limits are those of `history`.
    pub disk: DiskOptions,
    /// The state and its watchers. All nodes must use the same limits.
    pub history: HistoryOptions,
    /// For connections to other nodes; `None` is plain text. The server's side is
    /// whoever serves [`services`](crate::RaftStore::services).
    pub tls: Option<ClientTlsConfig>,
    /// The address that connections to other nodes come from, on a machine that
    /// has several; `None` leaves it to the system.
    pub local_address: Option<IpAddr>,
    /// Elections and heartbeats.
    pub elections: ElectionOptions,
    /// Appends.
    pub appends: AppendOptions,
    /// Watches.
    pub watches: WatchOptions,
    /// The log is cut off behind a snapshot when it has grown by this much since
    /// the last one, in bytes. Longer means less writing and a slower start.
    pub log_bytes: u64,
    /// But not before the log is as long as this share of the snapshot, in
    /// percent, so that a large state is not written over and over.
    pub log_share_percent: u64,
    /// Log entries kept behind a snapshot, for nodes that are a little late.
    pub log_keep_entries: u64,
    /// How long a snapshot on its way to another node may stand still.
    pub snapshot_stall: Duration,
}

/// Elections and heartbeats. The same on all nodes.
#[derive(Debug, Clone)]
pub struct ElectionOptions {
    /// Silence after which a leader counts as lost, and until which nobody else
    /// is voted for.
    pub timeout_min: Duration,
    /// Within this, counted from the last word of the leader, a node stands for
    /// election, at a random time after `timeout_min`.
    pub timeout_max: Duration,
    /// How often a leader speaks when there is nothing to say; also how long it
    /// waits for an answer before it sends again.
    pub heartbeat: Duration,
}

/// How appends are gathered and how many wait.
#[derive(Debug, Clone)]
pub struct AppendOptions {
    /// Largest batch taken, in bytes as
    /// [`batch_weight`](indexer_store::batch_weight) counts them.
    pub batch_bytes_max: usize,
    /// Batches gathered into one log entry: at most this many bytes, encoded,
    /// unless one alone is larger.
    pub group_bytes: usize,
    /// And at most this many.
    pub group_batches: usize,
    /// Log entries on their way at a time.
    pub entries_in_flight: usize,
    /// Batches waiting for their turn, in bytes; one more makes `append` wait.
    pub queue_bytes: usize,
    /// An append that takes longer ends with `Unavailable`.
    pub deadline: Duration,
}

/// What readers are promised.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// A node that has not stood at the cluster's head for this long sends its
    /// readers away.
    pub contact_max: Duration,
    /// How long a reader that is ahead of this node waits for it to follow.
    pub behind_max: Duration,
}

impl RaftOptions {
    /// The defaults, for this node.
    #[must_use]
    pub fn new(node_id: NodeId, advertise: impl Into<String>, data: impl Into<PathBuf>) -> Self {
        Self {
            node_id,
            advertise: advertise.into(),
            data: data.into(),
            disk: DiskOptions::default(),
            history: HistoryOptions::default(),
            tls: None,
            local_address: None,
            elections: ElectionOptions {
                timeout_min: Duration::from_millis(800),
                timeout_max: Duration::from_millis(1500),
                heartbeat: Duration::from_millis(200),
            },
            appends: AppendOptions {
                batch_bytes_max: 8 << 20,
                group_bytes: 1 << 20,
                group_batches: 1024,
                entries_in_flight: 4,
                queue_bytes: 32 << 20,
                deadline: Duration::from_secs(10),
            },
            watches: WatchOptions {
                contact_max: Duration::from_secs(5),
                behind_max: Duration::from_secs(10),
            },
            log_bytes: 128 << 20,
            log_share_percent: 100,
            log_keep_entries: 64,
            snapshot_stall: Duration::from_secs(60),
        }
    }

    /// Checks everything at once.
    ///
    /// # Errors
    /// Names every field that is wrong, and the fix.
    pub fn validate(&self) -> Result<(), InvalidOptions> {
        let mut wrong = Vec::new();
        let mut check = |right: bool, what: String| {
            if !right {
                wrong.push(what);
            }
        };
        check(
            self.node_id > 0,
            "node_id is 0; give every node a number from 1".into(),
        );
        check(
            host_and_port(&self.advertise),
            format!(
                "advertise is {:?}; give host:port where other nodes reach this one",
                self.advertise
            ),
        );
        let elections = &self.elections;
        check(
            elections.heartbeat >= Duration::from_millis(10),
            format!("heartbeat is {:?}; give at least 10ms", elections.heartbeat),
        );
        // A leader looks at the clock every 1.5 heartbeats.
        check(
            elections.timeout_min >= 3 * elections.heartbeat,
            format!(
                "election timeout_min is {:?}; give at least three heartbeats ({:?})",
                elections.timeout_min,
                3 * elections.heartbeat
            ),
        );
        check(
            elections.timeout_max > elections.timeout_min,
            format!(
                "election timeout_max is {:?}; give more than timeout_min ({:?})",
                elections.timeout_max, elections.timeout_min
            ),
        );
        let appends = &self.appends;
        for (name, value) in [
            ("batch_bytes_max", appends.batch_bytes_max),
            ("group_bytes", appends.group_bytes),
            ("group_batches", appends.group_batches),
            ("entries_in_flight", appends.entries_in_flight),
        ] {
            check(value > 0, format!("{name} is 0; give at least 1"));
        }
        check(
            appends.batch_bytes_max <= crate::wire::BATCH_BYTES_MAX,
            format!(
                "batch_bytes_max is {}; at most {} fit into a message",
                appends.batch_bytes_max,
                crate::wire::BATCH_BYTES_MAX
            ),
        );
        check(
            appends.queue_bytes >= appends.batch_bytes_max
                && u32::try_from(appends.queue_bytes).is_ok(),
            format!(
                "queue_bytes is {}; give at least batch_bytes_max ({}) and less than 4 GiB",
                appends.queue_bytes, appends.batch_bytes_max
            ),
        );
        check(
            self.watches.contact_max >= elections.timeout_max,
            format!(
                "contact_max is {:?}; give at least the election timeout_max ({:?})",
                self.watches.contact_max, elections.timeout_max
            ),
        );
        check(self.log_bytes > 0, "log_bytes is 0; give at least 1".into());
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(InvalidOptions { wrong })
        }
    }
}

/// Whether it is `host:port`.
pub(crate) fn host_and_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && !host.contains(['/', ' ', '@'])
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// Settings that no node can run with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", wrong.join("; "))]
pub struct InvalidOptions {
    /// What is wrong, each with its fix.
    pub wrong: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_right() {
        let options = RaftOptions::new(1, "node-1:7400", "data");
        assert_eq!(options.validate(), Ok(()));
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        let mut options = RaftOptions::new(0, "node-1", "data");
        options.elections.timeout_min = options.elections.heartbeat;
        options.elections.timeout_max = options.elections.heartbeat;
        options.appends.group_bytes = 0;
        options.appends.queue_bytes = 1;
        options.watches.contact_max = Duration::ZERO;
        options.log_bytes = 0;
        let wrong = options.validate().expect_err("nothing is right").wrong;
        for name in [
            "node_id",
            "advertise",
            "timeout_min",
            "timeout_max",
            "group_bytes",
            "queue_bytes",
            "contact_max",
            "log_bytes",
        ] {
            let named = wrong
                .iter()
                .filter(|what| what.contains(&format!("{name} is")));
            assert_eq!(named.count(), 1, "{name} in {wrong:?}");
        }
    }
}
