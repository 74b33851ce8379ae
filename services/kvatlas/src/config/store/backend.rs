//! A store that a role uses.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use services_runtime::config::Mistakes;

use super::redis::RedisSection;
use super::tls::TlsSection;
use crate::config::host_port;

/// Which kind of store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    /// In this process: `kvatlas standalone` only.
    #[default]
    Embedded,
    /// The nodes of `kvatlas store`.
    Raft,
    /// Redis or Valkey.
    Redis,
}

/// One store that is used from another process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SourceSection {
    /// Its endpoints are listed as of this cluster; none: as they are named.
    pub(crate) cluster: Option<String>,
    /// Which kind of store.
    pub(crate) backend: Backend,
    /// The nodes of a Raft store, some or all.
    pub(crate) addresses: Vec<String>,
    /// A Redis store.
    pub(crate) redis: RedisSection,
    /// Mutual TLS towards a Raft store.
    pub(crate) tls: TlsSection,
}

impl SourceSection {
    /// Notes what cannot work; `embedded`: whether that backend may stand here.
    pub(in crate::config) fn check(&self, path: &str, embedded: bool, mistakes: &mut Mistakes) {
        let mut seen = BTreeSet::new();
        for (index, address) in self.addresses.iter().enumerate() {
            host_port::check(format!("{path}.addresses.{index}"), address, mistakes);
            if !seen.insert(address) {
                mistakes.push(
                    format!("{path}.addresses.{index}"),
                    format!("{address:?} twice"),
                    "each node once",
                );
            }
        }
        self.tls.check(&format!("{path}.tls"), mistakes);
        let foreign = |key: &str, backend: &str, mistakes: &mut Mistakes| {
            mistakes.push(
                format!("{path}.{key}"),
                format!("settings of another backend than {:?}", self.backend).to_lowercase(),
                format!("{path}.backend: {backend}, or no {path}.{key}"),
            );
        };
        if self.backend != Backend::Raft && !self.addresses.is_empty() {
            foreign("addresses", "raft", mistakes);
        }
        if self.backend != Backend::Redis && !self.redis.urls.is_empty() {
            foreign("redis.urls", "redis", mistakes);
        }
        match self.backend {
            Backend::Embedded if embedded || !self.addresses.is_empty() => {}
            Backend::Embedded => mistakes.push(
                format!("{path}.backend"),
                "embedded, which no other process can use",
                format!("raft with {path}.addresses, or redis with {path}.redis.urls"),
            ),
            Backend::Raft if self.addresses.is_empty() => mistakes.push(
                format!("{path}.addresses"),
                "no address",
                "host:port of the store's nodes, such as [store-1:7400, store-2:7400, store-3:7400]",
            ),
            Backend::Raft => {}
            Backend::Redis => self.redis.check(&format!("{path}.redis"), mistakes),
        }
    }
}
