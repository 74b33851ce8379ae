//! From the configuration's words to those of the stores.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use indexer_store_grpc::RemoteOptions;
use indexer_store_raft::{ElectionOptions, RaftOptions};
use indexer_store_redis::{Login, RedisOptions, Secret, TlsOptions, Topology};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

use crate::config::{Config, NODE_DATA, RedisMode, SourceSection, TlsFiles, TlsSection};

/// The largest password, certificate or key file that is read, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// A store of `kvatlas store`.
pub(crate) fn remote(source: &SourceSection) -> Result<RemoteOptions> {
    let mut options = RemoteOptions::new(source.addresses.clone());
    options.tls = client_tls(&source.tls)?;
    Ok(options)
}

/// A node of the replicated store.
pub(crate) fn raft(config: &Config) -> Result<RaftOptions> {
    let section = &config.store;
    // Checked with the rest of the configuration.
    let node_id = section.node_id.context("store.node_id")?;
    let advertise = section.advertised().context("store.advertise")?;
    let data = section.data.clone().unwrap_or_else(|| NODE_DATA.into());
    let raft = &section.raft;
    let mut options = RaftOptions::new(node_id, advertise, data);
    options.history.ring_bytes = section.history.as_usize();
    options.tls = client_tls(&section.tls)?;
    options.elections = ElectionOptions {
        timeout_min: raft.election_timeout_min.duration(),
        timeout_max: raft.election_timeout_max.duration(),
        heartbeat: raft.heartbeat_interval.duration(),
    };
    options.appends.deadline = raft.append_timeout.duration();
    options.watches.contact_max = raft.contact_max.duration();
    options.log_bytes = raft.log_bytes.bytes();
    options
        .validate()
        .map_err(|wrong| anyhow!("store: {wrong}"))?;
    Ok(options)
}

/// An index in Redis.
pub(crate) fn redis(source: &SourceSection) -> Result<RedisOptions> {
    let section = &source.redis;
    let targets = section.targets();
    let first = targets.first().context("store.redis.urls")?;
    let (tls, database) = (first.tls, first.database);
    let addresses: Vec<String> = targets.into_iter().map(|target| target.address).collect();
    let topology = match section.mode {
        RedisMode::Standalone => Topology::Standalone {
            address: addresses.into_iter().next().unwrap_or_default(),
        },
        RedisMode::Sentinel => Topology::Sentinel {
            addresses,
            master: section.master.clone().context("store.redis.master")?,
        },
        RedisMode::Cluster => Topology::Cluster { addresses },
    };
    let login = |username: &Option<String>, file: &Option<PathBuf>| -> Result<Login> {
        let password = file
            .as_deref()
            .map(|file| text(file).map(|text| Secret::new(text.trim())));
        Ok(Login {
            username: username.clone(),
            password: password.transpose()?,
        })
    };
    let bytes = |file: &Option<PathBuf>| -> Result<Option<Vec<u8>>> {
        file.as_deref()
            .map(|file| text(file).map(String::into_bytes))
            .transpose()
    };
    let options = RedisOptions {
        topology,
        login: login(&section.username, &section.password_file)?,
        sentinel_login: login(&section.sentinel_username, &section.sentinel_password_file)?,
        database,
        tls: match tls {
            true => Some(TlsOptions {
                ca: bytes(&section.ca)?,
                identity: bytes(&section.certificate)?.zip(bytes(&section.key)?),
            }),
            false => None,
        },
        prefix: section.prefix.clone(),
        replicas_min: section.replicas_min,
        ..RedisOptions::default()
    };
    options
        .validate()
        .map_err(|wrong| anyhow!("store.redis: {wrong}"))?;
    Ok(options)
}

fn text(file: &Path) -> Result<String> {
    super::read_bounded(file, FILE_LIMIT).with_context(|| file.display().to_string())
}

/// TLS towards the store's nodes, if it is on.
pub(crate) fn client_tls(section: &TlsSection) -> Result<Option<ClientTlsConfig>> {
    let config = files(section)?.map(|files| {
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&files.ca))
            .identity(Identity::from_pem(&files.certificate, &files.key))
    });
    Ok(config)
}

/// TLS of a node's port, if it is on: only who has a certificate of the same
/// authority is let in.
pub(crate) fn server_tls(section: &TlsSection) -> Result<Option<ServerTlsConfig>> {
    let config = files(section)?.map(|files| {
        ServerTlsConfig::new()
            .identity(Identity::from_pem(&files.certificate, &files.key))
            .client_ca_root(Certificate::from_pem(&files.ca))
    });
    Ok(config)
}

fn files(section: &TlsSection) -> Result<Option<TlsFiles>> {
    section.read().map_err(|mistakes| {
        let said = mistakes.iter().map(|mistake| {
            format!(
                "tls.{}: saw {}, want {}",
                mistake.key, mistake.saw, mistake.want
            )
        });
        anyhow!(said.collect::<Vec<_>>().join("; "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The defaults of the configuration are those that nodes are tested with.
    #[test]
    fn a_node_is_configured_as_it_is_by_itself() {
        let mut config = Config::default();
        config.store.node_id = Some(1);
        config.store.advertise = Some("a:1".to_owned());
        let options = raft(&config).unwrap();
        let mut own = RaftOptions::new(1, "a:1", NODE_DATA);
        own.history.ring_bytes = options.history.ring_bytes;
        assert_eq!(format!("{options:?}"), format!("{own:?}"));
    }
}
