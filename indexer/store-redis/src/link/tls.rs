//! Clients with and without encryption.

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo,
    TlsCertificates,
};

use crate::error::{ConnectError, LinkError};
use crate::options::{RedisOptions, TlsOptions, split_address};

/// Finds out early whether certificates and keys can be read.
pub(crate) fn check(options: &RedisOptions) -> Result<(), ConnectError> {
    if options.tls.is_none() {
        return Ok(());
    }
    // Fails only if the process has chosen a provider before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    client(options, "localhost:1", RedisConnectionInfo::default())
        .map(drop)
        .map_err(|error| ConnectError::Tls {
            reason: error.to_string(),
        })
}

/// A client for one address; connects to nothing yet.
pub(super) fn client(
    options: &RedisOptions,
    address: &str,
    settings: RedisConnectionInfo,
) -> Result<Client, LinkError> {
    let (host, port) = split_address(address)
        .ok_or_else(|| LinkError::Redis(format!("{address:?} is not host:port")))?;
    match &options.tls {
        None => {
            let info = ConnectionAddr::Tcp(host, port).into_connection_info()?;
            Ok(Client::open(info.set_redis_settings(settings))?)
        }
        Some(tls) => {
            let address = ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            };
            let info = address.into_connection_info()?.set_redis_settings(settings);
            Ok(Client::build_with_tls(info, certificates(tls))?)
        }
    }
}

fn certificates(tls: &TlsOptions) -> TlsCertificates {
    let identity = tls.identity.clone();
    TlsCertificates {
        client_tls: identity.map(|(client_cert, client_key)| ClientTlsConfig {
            client_cert,
            client_key,
        }),
        root_cert: tls.ca.clone(),
    }
}
