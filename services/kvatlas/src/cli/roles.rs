//! The flags of the roles, and the settings that they stand for.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde::Serialize;

use super::ConfigArgs;
use super::epp::RoutingFlags;
use crate::config::{BindTarget, ConnectTarget};

/// Settings as `section.key` and a value that is read as YAML.
pub(super) type Settings = Vec<(String, String)>;

#[derive(Debug, Args)]
pub(crate) struct StandaloneArgs {
    #[command(flatten)]
    pub(crate) source: ConfigArgs,
    #[command(flatten)]
    pub(crate) ingest: IngestFlags,
    #[command(flatten)]
    pub(crate) models: ModelFlags,
    #[command(flatten)]
    pub(crate) routing: RoutingFlags,
    /// Keep the index on disk, in this folder (store.data); default: memory only.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// gRPC listen address (scorer.grpc).
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) grpc: Option<String>,
    /// HTTP listen address: queries, metrics, health (scorer.http).
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) http: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct IngestorArgs {
    #[command(flatten)]
    pub(crate) source: ConfigArgs,
    #[command(flatten)]
    pub(crate) ingest: IngestFlags,
    #[command(flatten)]
    pub(crate) store: StoreFlags,
    /// HTTP listen address: metrics, health, operators (ingest.http).
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) http: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ScorerArgs {
    #[command(flatten)]
    pub(crate) source: ConfigArgs,
    #[command(flatten)]
    pub(crate) models: ModelFlags,
    #[command(flatten)]
    pub(crate) store: StoreFlags,
    /// gRPC listen address (scorer.grpc).
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) grpc: Option<String>,
    /// HTTP listen address: queries, metrics, health (scorer.http).
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) http: Option<String>,
}

/// Where events come from.
#[derive(Debug, Default, Args)]
pub(crate) struct IngestFlags {
    /// Bind a subscriber that engines connect to (ingest.bind). May be repeated.
    #[arg(long, value_name = "tcp://ADDR:PORT")]
    pub(crate) bind: Vec<String>,
    /// Connect to an engine (ingest.connect):
    /// tcp://IP:PORT[,endpoint=IP:PORT][,model=M][,replay=tcp://IP:PORT][,ranks=N].
    #[arg(long, value_name = "TARGET")]
    pub(crate) connect: Vec<String>,
    /// Port of the replay sockets of engines that connect to us (ingest.replay_port).
    #[arg(long, value_name = "PORT")]
    pub(crate) replay_port: Option<u16>,
}

/// What is known of models.
#[derive(Debug, Default, Args)]
pub(crate) struct ModelFlags {
    /// A model's tokenizer: NAME=DIRECTORY or NAME=HUB_NAME (models). May be repeated.
    #[arg(long, value_name = "NAME=SOURCE")]
    pub(crate) model: Vec<String>,
}

/// Which store is used.
#[derive(Debug, Default, Args)]
pub(crate) struct StoreFlags {
    /// A node of the store (store.backend raft, store.addresses). May be repeated.
    #[arg(long = "store", value_name = "HOST:PORT")]
    pub(crate) nodes: Vec<String>,
}

impl StandaloneArgs {
    /// As settings. A flag for a list replaces the list.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::new();
        self.ingest.add_to(&mut settings)?;
        self.models.add_to(&mut settings)?;
        self.routing.add_to(&mut settings)?;
        set(&mut settings, "store.data", self.data.as_ref())?;
        set(&mut settings, "scorer.grpc", self.grpc.as_ref())?;
        set(&mut settings, "scorer.http", self.http.as_ref())?;
        Ok(settings)
    }
}

impl IngestorArgs {
    /// As settings.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::new();
        self.ingest.add_to(&mut settings)?;
        self.store.add_to(&mut settings)?;
        set(&mut settings, "ingest.http", self.http.as_ref())?;
        Ok(settings)
    }
}

impl ScorerArgs {
    /// As settings.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::new();
        self.models.add_to(&mut settings)?;
        self.store.add_to(&mut settings)?;
        set(&mut settings, "scorer.grpc", self.grpc.as_ref())?;
        set(&mut settings, "scorer.http", self.http.as_ref())?;
        Ok(settings)
    }
}

impl IngestFlags {
    fn add_to(&self, settings: &mut Settings) -> Result<()> {
        let bind = self.bind.iter().map(|address| BindTarget::new(address));
        let bind: Vec<_> = bind.collect();
        set(settings, "ingest.bind", some(&bind))?;
        let connect = self.connect.iter().map(|text| {
            ConnectTarget::parse(text).map_err(|reason| anyhow!("--connect {text}: {reason}"))
        });
        let connect = connect.collect::<Result<Vec<_>>>()?;
        set(settings, "ingest.connect", some(&connect))?;
        set(settings, "ingest.replay_port", self.replay_port.as_ref())
    }
}

impl ModelFlags {
    fn add_to(&self, settings: &mut Settings) -> Result<()> {
        let mut models = Vec::new();
        for text in &self.model {
            let Some((name, source)) = text.split_once('=') else {
                bail!("--model {text}: write NAME=DIRECTORY or NAME=HUB_NAME");
            };
            models.push(serde_json::json!({ "name": name, "source": source }));
        }
        set(settings, "models", some(&models))
    }
}

impl StoreFlags {
    fn add_to(&self, settings: &mut Settings) -> Result<()> {
        let nodes = some(&self.nodes);
        set(settings, "store.backend", nodes.map(|_| &"raft"))?;
        set(settings, "store.addresses", nodes)
    }
}

/// A list that was given at all.
pub(super) fn some<T>(list: &Vec<T>) -> Option<&Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// Adds what was given. JSON is YAML.
pub(super) fn set<T: Serialize>(
    settings: &mut Settings,
    key: &str,
    value: Option<&T>,
) -> Result<()> {
    if let Some(value) = value {
        settings.push((key.to_owned(), serde_json::to_string(value)?));
    }
    Ok(())
}
