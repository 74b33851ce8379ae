//! The configuration: what can be set, its defaults, and what must hold.
//!
//! One type per section. Each section knows how to check itself; the mistakes of
//! all of them are reported together, before any port is bound.

mod epp;
mod host_port;
mod ingest;
mod load;
mod models;
#[cfg(test)]
mod reference;
mod role;
mod scorer;
mod store;

pub(crate) use epp::{EppSection, StrategyKind};
pub(crate) use host_port::is_right as is_host_port;
pub(crate) use ingest::{BindTarget, ConnectTarget, IngestSection};
pub(crate) use load::load;
pub(crate) use models::{AdapterSection, EngineSection, HubSection, ModelSection, ServerKind};
pub(crate) use role::Role;
pub(crate) use scorer::ScorerSection;
pub(crate) use store::{
    Backend, NODE_DATA, RedisMode, SourceSection, StoreSection, TlsFiles, TlsSection,
};

use serde::{Deserialize, Serialize};
use services_runtime::config::{HumanDuration, Mistakes};
use services_runtime::telemetry::TelemetrySettings;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The name of the cluster that the engines run in; part of every endpoint's name.
    pub(crate) cluster: String,
    /// How long a stopping process may take to finish what it has begun.
    pub(crate) drain_timeout: HumanDuration,
    /// Logs and traces.
    pub(crate) telemetry: TelemetrySettings,
    /// Where events come from.
    pub(crate) ingest: IngestSection,
    /// Where the index is kept.
    pub(crate) store: StoreSection,
    /// How questions are answered.
    pub(crate) scorer: ScorerSection,
    /// How requests are routed.
    pub(crate) epp: EppSection,
    /// What is known of models beforehand.
    pub(crate) models: Vec<ModelSection>,
    /// Where tokenizers are found by name.
    pub(crate) hub: HubSection,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cluster: "default".to_owned(),
            drain_timeout: HumanDuration::from_secs(30),
            telemetry: TelemetrySettings::default(),
            ingest: IngestSection::default(),
            store: StoreSection::default(),
            scorer: ScorerSection::default(),
            epp: EppSection::default(),
            models: Vec::new(),
            hub: HubSection::default(),
        }
    }
}

impl Config {
    /// Notes everything that cannot work: in any role, and in the given one.
    pub(crate) fn check(&self, role: Option<Role>, mistakes: &mut Mistakes) {
        if let Err(error) = proto_model::Endpoint::new(&self.cluster, "a") {
            mistakes.push("cluster", error, "a name such as `default` or `eu-west-1`");
        }
        self.telemetry.validate("telemetry", mistakes);
        let ingests = role.is_none_or(Role::ingests);
        self.ingest.check(&self.cluster, ingests, mistakes);
        let several = role == Some(Role::Scorer) && !self.scorer.stores.is_empty();
        self.store.check(role, several, mistakes);
        self.scorer.check(mistakes);
        self.epp.check(role == Some(Role::Epp), mistakes);
        models::check(&self.models, mistakes);
        self.hub.check(mistakes);
    }
}
