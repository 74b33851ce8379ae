//! Connections to other nodes: one per address and lane, made when first used
//! and again when lost.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use proto_api::v1::store_raft_client::StoreRaftClient;
use tonic::Status;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use crate::types::DirectoryId;
use crate::wire::MESSAGE_BYTES_MAX;

/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(2);

/// Connections kept. More addresses than this have never been one cluster's.
const CONNECTIONS_MAX: usize = 64;

/// Bytes under way per connection.
const WINDOW: u32 = 8 << 20;

/// Calls at a time on one connection.
const STREAMS_MAX: u32 = 128;

/// What a connection is for. Large snapshots must not be in heartbeats' way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    Log,
    Snapshot,
}

/// All connections of a node.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    tls: Option<ClientTlsConfig>,
    local_address: Option<IpAddr>,
    channels: Mutex<HashMap<(String, Lane), Channel>>,
}

impl Peers {
    pub(crate) fn new(tls: Option<ClientTlsConfig>, local_address: Option<IpAddr>) -> Self {
        Self {
            tls,
            local_address,
            channels: Mutex::default(),
        }
    }

    /// A client of the node at `address`. Connects when it is used.
    pub(crate) fn client(
        &self,
        address: &str,
        lane: Lane,
    ) -> Result<StoreRaftClient<Channel>, Status> {
        let channel = self.channel(address, lane)?;
        Ok(StoreRaftClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX))
    }

    fn channel(&self, address: &str, lane: Lane) -> Result<Channel, Status> {
        let key = (address.to_owned(), lane);
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(&key) {
            return Ok(channel.clone());
        }
        let channel = endpoint(address, self.tls.as_ref())?
            .local_address(self.local_address)
            .connect_lazy();
        if channels.len() >= CONNECTIONS_MAX {
            // Those in use stay open; the others are made again.
            channels.clear();
        }
        channels.insert(key, channel.clone());
        Ok(channel)
    }
}

/// How any node's gRPC port is connected to.
pub(crate) fn endpoint(address: &str, tls: Option<&ClientTlsConfig>) -> Result<Endpoint, Status> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let wrong = |error: tonic::transport::Error| {
        Status::invalid_argument(format!(
            "address {address:?} cannot be used: {error}; give host:port"
        ))
    };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
        .map_err(wrong)?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .initial_connection_window_size(WINDOW)
        .initial_stream_window_size(WINDOW)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(5));
    match tls {
        Some(tls) => endpoint.tls_config(tls.clone()).map_err(wrong),
        None => Ok(endpoint),
    }
}

/// A server as a node needs it: room for whole messages on their way. Whoever
/// serves a node's routes begins with this, and adds TLS if there is to be any.
#[must_use]
pub fn server() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .initial_connection_window_size(WINDOW)
        .initial_stream_window_size(WINDOW)
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
}

/// Where the number of the receiver's directory is, ahead of a message.
pub(crate) const DIRECTORY: &str = "kvatlas-directory";

/// The message with the number of the receiver's directory ahead of it.
pub(crate) fn addressed<T>(message: T, to: DirectoryId) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    if let Ok(directory) = format!("{:016x}", to.0).parse() {
        request.metadata_mut().insert(DIRECTORY, directory);
    }
    request
}
