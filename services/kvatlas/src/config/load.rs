//! From file, environment and flags to one checked configuration.

use anyhow::{Result, anyhow, bail};
use services_runtime::config::{ENV_PREFIX, Sources};

use super::{BindTarget, Config, ConnectTarget};
use crate::cli::{ConfigArgs, StandaloneArgs};

/// Reads everything, or says everything that is wrong.
pub(crate) fn load(args: &ConfigArgs, flags: Vec<(String, String)>) -> Result<Config> {
    let mut overrides = flags;
    for pair in &args.overrides {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| anyhow!("--set {pair}: write section.key=value"))?;
        overrides.push((key.to_owned(), value.to_owned()));
    }
    let sources =
        Sources::new(args.config.as_deref(), overrides).with_process_environment(ENV_PREFIX);
    Ok(sources.load_checked(Config::check)?)
}

/// The flags of `standalone` as settings. A flag for a list replaces the list.
pub(crate) fn flags(args: &StandaloneArgs) -> Result<Vec<(String, String)>> {
    let mut settings = Vec::new();
    let mut set = |key: &str, value: String| settings.push((key.to_owned(), value));
    if !args.bind.is_empty() {
        let targets: Vec<_> = args
            .bind
            .iter()
            .map(|address| BindTarget::new(address))
            .collect();
        set("ingest.bind", serde_json::to_string(&targets)?);
    }
    if !args.connect.is_empty() {
        let mut targets = Vec::new();
        for text in &args.connect {
            let target = ConnectTarget::parse(text)
                .map_err(|reason| anyhow!("--connect {text}: {reason}"))?;
            targets.push(target);
        }
        set("ingest.connect", serde_json::to_string(&targets)?);
    }
    if let Some(port) = args.replay_port {
        set("ingest.replay_port", port.to_string());
    }
    if !args.model.is_empty() {
        let mut models = Vec::new();
        for text in &args.model {
            let Some((name, source)) = text.split_once('=') else {
                bail!("--model {text}: write NAME=DIRECTORY or NAME=HUB_NAME");
            };
            models.push(serde_json::json!({ "name": name, "source": source }));
        }
        set("models", serde_json::to_string(&models)?);
    }
    if let Some(data) = &args.data {
        set("store.data", serde_json::to_string(data)?);
    }
    if let Some(grpc) = &args.grpc {
        set("scorer.grpc", serde_json::to_string(grpc)?);
    }
    if let Some(http) = &args.http {
        set("scorer.http", serde_json::to_string(http)?);
    }
    Ok(settings)
}
