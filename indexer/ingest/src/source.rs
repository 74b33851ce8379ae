//! Who publishes: from a socket's configuration and a message's topic.

use std::net::IpAddr;
use std::sync::Arc;

use indexer_events::{Topic, TopicError};
use proto_model::{Endpoint, EndpointError, Publisher, Rank};

use crate::config::Identity;
use crate::{BindConfig, ConnectConfig, TcpAddress};

/// Largest data-parallel rank that is believed.
const RANK_MAX: u32 = 65_535;

/// One stream of messages, named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) publisher: Publisher,
    /// The model as the topic or the configuration names it.
    pub(crate) model: String,
    /// Where its history can be asked for.
    pub(crate) replay: Option<TcpAddress>,
}

/// What a socket's configuration says about those who publish on it.
#[derive(Debug)]
pub(crate) struct Source {
    cluster: String,
    identity: Option<(Endpoint, String)>,
    /// Whether the identity holds even where a topic says otherwise.
    identity_overrides: bool,
    rank: u32,
    replay: ReplayAt,
    require_source_address: bool,
}

#[derive(Debug)]
enum ReplayAt {
    Nowhere,
    Address(TcpAddress),
    /// On the topic's host, this port + rank.
    TopicPort(u16),
}

/// Why nobody is known to have sent a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("topic is empty and the socket has no configured identity")]
    Unnamed,
    #[error("{0}")]
    Topic(#[from] TopicError),
    #[error("{0}")]
    Endpoint(#[from] EndpointError),
    #[error("topic names {named}, but the message comes from {peer}")]
    OtherAddress { named: String, peer: IpAddr },
    #[error("rank {rank} exceeds {RANK_MAX}")]
    Rank { rank: u32 },
}

impl SourceError {
    /// A short label for metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Unnamed => "unnamed",
            Self::Topic(_) | Self::Endpoint(_) => "topic",
            Self::OtherAddress { .. } => "other_address",
            Self::Rank { .. } => "rank",
        }
    }
}

impl Source {
    pub(crate) fn bound(
        config: &BindConfig,
        cluster: &str,
        rank: u32,
    ) -> Result<Self, EndpointError> {
        Ok(Self {
            cluster: cluster.to_owned(),
            identity: resolve_identity(config.identity.as_ref(), cluster)?,
            identity_overrides: false,
            rank,
            replay: config
                .replay_port
                .map_or(ReplayAt::Nowhere, ReplayAt::TopicPort),
            require_source_address: config.require_source_address,
        })
    }

    /// The address is that of the rank.
    pub(crate) fn connected(
        config: &ConnectConfig,
        cluster: &str,
        rank: u32,
        replay: Option<TcpAddress>,
    ) -> Result<Self, EndpointError> {
        Ok(Self {
            cluster: cluster.to_owned(),
            identity: resolve_identity(config.identity.as_ref(), cluster)?,
            identity_overrides: true,
            rank,
            replay: replay.map_or(ReplayAt::Nowhere, ReplayAt::Address),
            require_source_address: false,
        })
    }

    /// The stream that is known before any message has come.
    pub(crate) fn known(&self) -> Option<Stream> {
        let (endpoint, model) = self.identity.clone().filter(|_| self.identity_overrides)?;
        self.stream(endpoint, model, self.rank).ok()
    }

    /// The stream of a message. A message can never be attributed to another
    /// endpoint than its topic (or the socket's identity) names.
    pub(crate) fn resolve(
        &self,
        topic: &str,
        rank: Option<u32>,
        peer: IpAddr,
    ) -> Result<Stream, SourceError> {
        let rank = rank.unwrap_or(self.rank);
        if rank > RANK_MAX {
            return Err(SourceError::Rank { rank });
        }
        if let Some((endpoint, model)) = self.identity.clone().filter(|_| self.identity_overrides) {
            return self.stream(endpoint, model, rank);
        }
        let (endpoint, model) = match Topic::parse(topic)? {
            Topic::Unnamed => self.identity.clone().ok_or(SourceError::Unnamed)?,
            Topic::Endpoint { address, model } => {
                self.check_peer(address, peer)?;
                (Endpoint::new(&self.cluster, address)?, model.to_owned())
            }
        };
        self.stream(endpoint, model, rank)
    }

    fn check_peer(&self, address: &str, peer: IpAddr) -> Result<(), SourceError> {
        let named = host_of(address);
        if self.require_source_address && named.parse() != Ok(peer.to_canonical()) {
            return Err(SourceError::OtherAddress {
                named: named.to_owned(),
                peer,
            });
        }
        Ok(())
    }

    fn stream(&self, endpoint: Endpoint, model: String, rank: u32) -> Result<Stream, SourceError> {
        let replay = match &self.replay {
            ReplayAt::Nowhere => None,
            ReplayAt::Address(address) => Some(address.clone()),
            ReplayAt::TopicPort(port) => TcpAddress::new(host_of(endpoint.address()), *port)
                .and_then(|address| address.for_rank(rank))
                .ok(),
        };
        Ok(Stream {
            publisher: Publisher {
                endpoint,
                rank: Rank(rank),
            },
            model,
            replay,
        })
    }
}

fn resolve_identity(
    identity: Option<&Identity>,
    cluster: &str,
) -> Result<Option<(Endpoint, String)>, EndpointError> {
    let Some(identity) = identity else {
        return Ok(None);
    };
    let cluster = identity.cluster.as_deref().unwrap_or(cluster);
    Ok(Some((
        Endpoint::new(cluster, &identity.address)?,
        identity.model.clone(),
    )))
}

/// The host of `ip`, `ip:port`, `[ipv6]:port` or a bare IPv6 address.
fn host_of(address: &str) -> &str {
    if let Some((host, _)) = address
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        return host;
    }
    match address.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        _ => address,
    }
}

/// The last stream of a connection: nearly every message has the same topic.
#[derive(Debug, Default)]
pub(crate) struct StreamCache {
    last: Option<(String, Option<u32>, Arc<Stream>)>,
}

impl StreamCache {
    /// Resolves with [`Source::resolve`], or from memory. A message whose
    /// payload cannot be read has no rank: it counts for the topic's last.
    pub(crate) fn resolve(
        &mut self,
        source: &Source,
        topic: &str,
        rank: Option<Option<u32>>,
        peer: IpAddr,
    ) -> Result<Arc<Stream>, SourceError> {
        if let Some((last_topic, last_rank, stream)) = &self.last
            && last_topic == topic
            && rank.is_none_or(|rank| rank == *last_rank)
        {
            return Ok(Arc::clone(stream));
        }
        let rank = rank.flatten();
        let stream = Arc::new(source.resolve(topic, rank, peer)?);
        self.last = Some((topic.to_owned(), rank, Arc::clone(&stream)));
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

    fn bind() -> BindConfig {
        BindConfig::new("tcp://*:5557".parse().unwrap())
    }

    #[test]
    fn a_topic_names_endpoint_model_and_replay() {
        let config = BindConfig {
            replay_port: Some(5600),
            ..bind()
        };
        let source = Source::bound(&config, "prod", 1).unwrap();
        let stream = source
            .resolve("kv@10.0.0.1:8000@a/b@c", None, PEER)
            .unwrap();
        assert_eq!(stream.publisher.to_string(), "prod/10.0.0.1:8000#1");
        assert_eq!(stream.model, "a/b@c");
        assert_eq!(stream.replay.unwrap().to_string(), "tcp://10.0.0.1:5601");
        let stream = source
            .resolve("kv@[fd00::1]:8000@m", Some(0), PEER)
            .unwrap();
        assert_eq!(stream.replay.unwrap().to_string(), "tcp://[fd00::1]:5600");
        assert!(source.known().is_none());
    }

    #[test]
    fn an_empty_topic_needs_an_identity() {
        let source = Source::bound(&bind(), "c", 0).unwrap();
        assert_eq!(source.resolve("", None, PEER), Err(SourceError::Unnamed));
        let identity = Identity {
            cluster: None,
            address: "e".into(),
            model: "m".into(),
        };
        let config = BindConfig {
            identity: Some(identity),
            ..bind()
        };
        let source = Source::bound(&config, "c", 0).unwrap();
        assert_eq!(
            source
                .resolve("", Some(2), PEER)
                .unwrap()
                .publisher
                .to_string(),
            "c/e#2"
        );
        let other = source.resolve("kv@f@m", None, PEER).unwrap();
        assert_eq!(
            other.publisher.to_string(),
            "c/f#0",
            "a bound socket serves many"
        );
    }

    #[test]
    fn a_connected_identity_holds_against_any_topic() {
        let identity = Identity {
            cluster: Some("x".into()),
            address: "e".into(),
            model: "m".into(),
        };
        let mut config = ConnectConfig::new("tcp://h:1".parse().unwrap());
        config.identity = Some(identity);
        let source = Source::connected(&config, "c", 3, None).unwrap();
        assert_eq!(
            source
                .resolve("kv@victim@m", None, PEER)
                .unwrap()
                .publisher
                .to_string(),
            "x/e#3"
        );
        assert_eq!(source.known().unwrap().publisher.to_string(), "x/e#3");
    }

    #[test]
    fn a_foreign_address_can_be_refused() {
        let config = BindConfig {
            require_source_address: true,
            ..bind()
        };
        let source = Source::bound(&config, "c", 0).unwrap();
        assert!(source.resolve("kv@10.0.0.9:8000@m", None, PEER).is_ok());
        let error = source.resolve("kv@10.0.0.8@m", None, PEER).unwrap_err();
        assert_eq!(error.label(), "other_address");
    }

    #[test]
    fn the_cache_follows_topic_and_rank() {
        let source = Source::bound(&bind(), "c", 0).unwrap();
        let mut cache = StreamCache::default();
        let mut name = |topic: &str, rank| {
            cache
                .resolve(&source, topic, rank, PEER)
                .unwrap()
                .publisher
                .to_string()
        };
        assert_eq!(name("kv@a@m", Some(Some(1))), "c/a#1");
        assert_eq!(name("kv@a@m", None), "c/a#1", "unreadable payload");
        assert_eq!(name("kv@a@m", Some(None)), "c/a#0");
        assert_eq!(name("kv@b@m", None), "c/b#0");
    }
}
