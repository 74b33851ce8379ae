//! Section `ingest`: where events come from.

use indexer_ingest::TcpAddress;
use proto_model::Endpoint;
use serde::{Deserialize, Serialize};
use services_runtime::config::{ByteSize, HumanDuration, ListenAddress, Mistakes};

/// Sockets, order and batching.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct IngestSection {
    /// Sockets that engines connect to.
    pub(crate) bind: Vec<BindTarget>,
    /// Engines to connect to.
    pub(crate) connect: Vec<ConnectTarget>,
    /// The replay port of engines that connect to us, plus the rank; none: gaps
    /// cannot be repaired and are said.
    pub(crate) replay_port: Option<u16>,
    /// Refuse messages whose topic names another IP address than they come from.
    /// ZeroMQ authenticates nobody; behind address translation this must stay off.
    pub(crate) require_source_address: bool,
    /// Only topics that begin with this are asked for.
    pub(crate) topic_prefix: String,
    /// A publisher without a connection for so long is forgotten, with all it held.
    pub(crate) forget_after: HumanDuration,
    /// The largest message; a peer that announces more is cut off.
    pub(crate) message_bytes: ByteSize,
    /// Connections of one bound socket.
    pub(crate) connections: usize,
    /// Publishers known at a time; messages of others are refused.
    pub(crate) publishers: usize,
    /// How many messages may wait to be worked on; beyond, reading stops.
    pub(crate) queue_messages: usize,
    /// How many bytes of messages may wait.
    pub(crate) queue_bytes: ByteSize,
    /// How long a message may wait for others to be appended with it.
    pub(crate) batch_delay: HumanDuration,
    /// How long a replay socket may be silent.
    pub(crate) replay_timeout: HumanDuration,
    /// Where `kvatlas ingestor` listens for metrics, probes and operators.
    pub(crate) http: ListenAddress,
}

/// A socket that engines connect to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BindTarget {
    /// `tcp://*:5557` or `tcp://ip:port`.
    pub(crate) address: String,
    /// Data-parallel ranks: as many ports are bound, from the address's port on.
    #[serde(default = "one")]
    pub(crate) ranks: u32,
    /// Who publishes here, where the topic does not say: `ip[:port]`.
    #[serde(default)]
    pub(crate) endpoint: Option<String>,
    /// The model served there, where the topic does not say.
    #[serde(default)]
    pub(crate) model: Option<String>,
}

/// An engine to connect to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectTarget {
    /// `tcp://ip:port` of the engine's event socket.
    pub(crate) address: String,
    /// `ip[:port]` that requests are routed to; none: as the topic says.
    #[serde(default)]
    pub(crate) endpoint: Option<String>,
    /// The model it serves; none: as the topic says.
    #[serde(default)]
    pub(crate) model: Option<String>,
    /// `tcp://ip:port` of the engine's replay socket.
    #[serde(default)]
    pub(crate) replay: Option<String>,
    /// Data-parallel ranks: as many ports are connected to, for replay too.
    #[serde(default = "one")]
    pub(crate) ranks: u32,
}

fn one() -> u32 {
    1
}

impl Default for IngestSection {
    fn default() -> Self {
        Self {
            bind: vec![BindTarget::new("tcp://*:5557")],
            connect: Vec::new(),
            replay_port: None,
            require_source_address: false,
            topic_prefix: String::new(),
            forget_after: HumanDuration::from_secs(15 * 60),
            message_bytes: ByteSize::mib(16),
            connections: 4096,
            publishers: 16_384,
            queue_messages: 65_536,
            queue_bytes: ByteSize::mib(256),
            batch_delay: HumanDuration::from_millis(2),
            replay_timeout: HumanDuration::from_secs(5),
            http: ListenAddress::any(7501),
        }
    }
}

impl BindTarget {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            ranks: 1,
            endpoint: None,
            model: None,
        }
    }
}

impl ConnectTarget {
    /// Reads `tcp://IP:PORT[,key=value]...`, the form of the command line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let mut target = Self {
            address: parts.next().unwrap_or_default().to_owned(),
            endpoint: None,
            model: None,
            replay: None,
            ranks: 1,
        };
        for part in parts {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| format!("{part:?} is not key=value"))?;
            let value = value.to_owned();
            match key {
                "endpoint" => target.endpoint = Some(value),
                "model" => target.model = Some(value),
                "replay" => target.replay = Some(value),
                "ranks" => {
                    target.ranks = value
                        .parse()
                        .map_err(|_| format!("ranks={value:?} is not a number"))?;
                }
                _ => return Err(format!("{key:?} is none of endpoint, model, replay, ranks")),
            }
        }
        Ok(target)
    }
}

impl IngestSection {
    /// Notes what cannot work; `used`: whether events are taken in at all.
    pub(super) fn check(&self, cluster: &str, used: bool, mistakes: &mut Mistakes) {
        if used && self.bind.is_empty() && self.connect.is_empty() {
            mistakes.push(
                "ingest",
                "no bind and no connect",
                "at least one source of events",
            );
        }
        for (index, bind) in self.bind.iter().enumerate() {
            let path = format!("ingest.bind.{index}");
            check_address(
                &format!("{path}.address"),
                &bind.address,
                bind.ranks,
                mistakes,
            );
            check_ranks(&path, bind.ranks, mistakes);
            check_endpoint(&path, cluster, bind.endpoint.as_deref(), mistakes);
            if bind.endpoint.is_some() != bind.model.is_some() {
                mistakes.push(&path, "only one of endpoint and model", "both or neither");
            }
        }
        for (index, connect) in self.connect.iter().enumerate() {
            let path = format!("ingest.connect.{index}");
            check_address(
                &format!("{path}.address"),
                &connect.address,
                connect.ranks,
                mistakes,
            );
            if let Some(replay) = &connect.replay {
                check_address(&format!("{path}.replay"), replay, connect.ranks, mistakes);
            }
            check_ranks(&path, connect.ranks, mistakes);
            check_endpoint(&path, cluster, connect.endpoint.as_deref(), mistakes);
            if connect.endpoint.is_some() != connect.model.is_some() {
                mistakes.push(&path, "only one of endpoint and model", "both or neither");
            }
        }
        for (key, value) in [
            ("queue_messages", self.queue_messages),
            ("connections", self.connections),
            ("publishers", self.publishers),
        ] {
            if value == 0 {
                mistakes.push(format!("ingest.{key}"), 0, "at least 1");
            }
        }
        if self.message_bytes.bytes() < 64 << 10 {
            mistakes.push("ingest.message_bytes", self.message_bytes, "at least 64KiB");
        }
        if self.queue_bytes.bytes() < 1 << 20 {
            mistakes.push("ingest.queue_bytes", self.queue_bytes, "at least 1MiB");
        }
    }
}

/// The address of every rank must be one.
fn check_address(path: &str, text: &str, ranks: u32, mistakes: &mut Mistakes) {
    let last = text
        .parse::<TcpAddress>()
        .and_then(|address| address.for_rank(ranks.saturating_sub(1)));
    if let Err(error) = last {
        mistakes.push(
            path,
            error,
            "tcp://ADDRESS:PORT, with a port left for every rank",
        );
    }
}

fn check_ranks(path: &str, ranks: u32, mistakes: &mut Mistakes) {
    if !(1..=1024).contains(&ranks) {
        mistakes.push(format!("{path}.ranks"), ranks, "a number from 1 to 1024");
    }
}

fn check_endpoint(path: &str, cluster: &str, endpoint: Option<&str>, mistakes: &mut Mistakes) {
    if let Some(address) = endpoint
        && let Err(error) = Endpoint::new(cluster, address)
    {
        mistakes.push(format!("{path}.endpoint"), error, "ip or ip:port");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_from_the_command_line() {
        let text = "tcp://10.0.0.1:5557,endpoint=10.0.0.1:8000,model=org/M,replay=tcp://10.0.0.1:5600,ranks=2";
        let target = ConnectTarget::parse(text).unwrap();
        assert_eq!(target.address, "tcp://10.0.0.1:5557");
        assert_eq!(target.endpoint.as_deref(), Some("10.0.0.1:8000"));
        assert_eq!(target.model.as_deref(), Some("org/M"));
        assert_eq!(target.replay.as_deref(), Some("tcp://10.0.0.1:5600"));
        assert_eq!(target.ranks, 2);
    }

    #[test]
    fn a_wrong_target_says_which_part() {
        assert!(
            ConnectTarget::parse("tcp://a:1,modle=x")
                .unwrap_err()
                .contains("modle")
        );
        assert!(
            ConnectTarget::parse("tcp://a:1,ranks=two")
                .unwrap_err()
                .contains("two")
        );
        assert!(
            ConnectTarget::parse("tcp://a:1,replay")
                .unwrap_err()
                .contains("replay")
        );
    }
}
