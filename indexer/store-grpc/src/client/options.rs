//! What a client can be told.

use std::time::Duration;

use tonic::transport::{ClientTlsConfig, Endpoint};

/// Settings of a [`RemoteStore`](super::RemoteStore).
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// The store's nodes, `host:port` each; names are looked up anew for every
    /// connection.
    pub addresses: Vec<String>,
    /// For connections with TLS. The certificate must name the host as it stands
    /// in the address, unless a domain name is set here.
    pub tls: Option<ClientTlsConfig>,
    /// How long connecting to a node may take.
    pub connect_timeout: Duration,
    /// How long one node may take to answer an append before another is tried.
    pub append_attempt: Duration,
    /// How long an append may take with all attempts; then `Unavailable`.
    pub append_deadline: Duration,
    /// Largest batch sent, in bytes as [`indexer_store::batch_weight`] counts.
    pub batch_bytes_max: usize,
    /// How long a node may take to say the first word of a watch.
    pub watch_first: Duration,
    /// How long a watch may be silent. More than the store's heartbeat, less than
    /// the patience of those who read.
    pub watch_silent: Duration,
    /// How long nodes are tried before a watch ends with `Unavailable`.
    pub watch_patience: Duration,
    /// The largest revision that is put together from its parts, in bytes.
    pub revision_bytes_max: usize,
    /// A connection that is silent for this long is asked whether it lives, and
    /// given up if it says nothing for as long again.
    pub keepalive: Duration,
    /// Waited before the nodes are tried again; doubled each time.
    pub backoff_min: Duration,
    /// The most that is waited between tries.
    pub backoff_max: Duration,
}

impl RemoteOptions {
    /// The settings for nodes at `addresses`, without TLS.
    #[must_use]
    pub fn new(addresses: Vec<String>) -> Self {
        Self {
            addresses,
            tls: None,
            connect_timeout: Duration::from_secs(2),
            append_attempt: Duration::from_secs(5),
            append_deadline: Duration::from_secs(20),
            batch_bytes_max: 8 << 20,
            watch_first: Duration::from_secs(5),
            watch_silent: Duration::from_secs(5),
            watch_patience: Duration::from_secs(10),
            revision_bytes_max: 512 << 20,
            keepalive: Duration::from_secs(2),
            backoff_min: Duration::from_millis(20),
            backoff_max: Duration::from_millis(500),
        }
    }

    pub(super) fn validate(&self) -> Result<(), OptionsError> {
        if self.addresses.is_empty() {
            return Err(OptionsError::NoAddress);
        }
        for address in &self.addresses {
            self.endpoint(address)
                .map_err(|error| OptionsError::Address {
                    address: address.clone(),
                    error: error.to_string(),
                })?;
        }
        let positive = [
            ("connect_timeout", self.connect_timeout),
            ("append_attempt", self.append_attempt),
            ("append_deadline", self.append_deadline),
            ("watch_first", self.watch_first),
            ("watch_silent", self.watch_silent),
            ("watch_patience", self.watch_patience),
            ("keepalive", self.keepalive),
            ("backoff_min", self.backoff_min),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| value.is_zero()) {
            return Err(OptionsError::Zero(name));
        }
        let (min, max) = (self.backoff_min, self.backoff_max);
        if min > max {
            return Err(OptionsError::Backoff { min, max });
        }
        Ok(())
    }

    /// How a node is connected to.
    pub(super) fn endpoint(&self, address: &str) -> Result<Endpoint, InvalidAddress> {
        let (host, port) = address.rsplit_once(':').ok_or(InvalidAddress::Form)?;
        if host.is_empty() || port.parse::<u16>().is_ok_and(|port| port == 0) {
            return Err(InvalidAddress::Form);
        }
        port.parse::<u16>().map_err(|_| InvalidAddress::Form)?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(self.keepalive)
            .keep_alive_timeout(self.keepalive)
            .keep_alive_while_idle(true);
        if let Some(tls) = &self.tls {
            endpoint = endpoint.tls_config(tls.clone())?;
        }
        Ok(endpoint)
    }
}

/// Why an address cannot be connected to.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidAddress {
    #[error("expected host:port")]
    Form,
    #[error("{0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Why there can be no client with these options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// There is nothing to connect to.
    #[error("addresses is empty; give the host:port of at least one node of the store")]
    NoAddress,
    /// An address, or TLS for it, is malformed.
    #[error("addresses: {address:?}: {error}")]
    Address {
        /// Which.
        address: String,
        /// What is wrong with it.
        error: String,
    },
    /// A time that must not be zero is.
    #[error("{0} is 0; give the time that may pass")]
    Zero(&'static str),
    /// The bounds of the backoff are the wrong way round.
    #[error("backoff_min ({min:?}) is more than backoff_max ({max:?})")]
    Backoff {
        /// The lower one.
        min: Duration,
        /// The upper one.
        max: Duration,
    },
}
