//! From the configuration file's words to each crate's own.

pub(crate) mod policy_model;
pub(crate) mod stores;

use std::io::Read;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use indexer_ingest::{BindConfig, ConnectConfig, EngineKind, Identity, IngestConfig};
use indexer_store::{EmbeddedOptions, HistoryOptions};
use proto_model::Lora;
use scorer_prompt::{
    HubConfig, HubModel, LibraryConfig, ModelLocation, ModelOptions, ModelSource, RequestLimits,
};
use scorer_server::{InstanceNames, ModelsConfig, ScorerLimits, Weights};

use crate::config::{
    AdapterSection, BindTarget, Config, ConnectTarget, HubSection, IngestSection, ModelSection,
    ScorerSection, ServerKind,
};

/// The largest access token file that is read, in bytes.
const TOKEN_LIMIT: u64 = 16 << 10;

/// The largest chat template file that is read, in bytes.
const TEMPLATE_LIMIT: u64 = 1 << 20;

/// The largest template that a trusted request may bring, in bytes.
const REQUEST_TEMPLATE_BYTES: usize = 64 << 10;

/// The ingestor's configuration, checked by the ingestor too.
pub(crate) fn ingest(config: &Config) -> Result<IngestConfig> {
    let section = &config.ingest;
    let mut ingest = IngestConfig {
        cluster: config.cluster.clone(),
        ..Default::default()
    };
    for target in &section.bind {
        ingest.bind.push(bind(target, section)?);
    }
    for target in &section.connect {
        ingest.connect.push(connect(target, section)?);
    }
    for model in &config.models {
        ingest.models.push(indexer_ingest::ModelConfig {
            aliases: model.aliases.clone(),
            profile: model.profile,
            block_size: model.block_size,
            hash: rules(model)?,
            adapters: model.adapters.iter().map(adapter).collect(),
            engine: match model.server {
                ServerKind::Vllm => EngineKind::Vllm,
                ServerKind::Sglang => EngineKind::Sglang,
            },
            ..indexer_ingest::ModelConfig::new(&model.name)
        });
    }
    ingest.bounds.message_bytes = at_least_one(section.message_bytes.as_usize());
    ingest.bounds.connections = at_least_one(section.connections);
    ingest.bounds.publishers = at_least_one(section.publishers);
    ingest.bounds.queue_messages = at_least_one(section.queue_messages);
    ingest.bounds.queue_bytes = at_least_one(section.queue_bytes.as_usize());
    ingest.batching.delay = section.batch_delay.duration();
    ingest.replay.timeout = section.replay_timeout.duration();
    if let Err(mistakes) = ingest.validate() {
        let list: Vec<_> = mistakes
            .iter()
            .map(|mistake| format!("\n  ingest: {mistake}"))
            .collect();
        bail!(
            "{} mistakes in the configuration{}",
            list.len(),
            list.concat()
        );
    }
    Ok(ingest)
}

fn bind(target: &BindTarget, section: &IngestSection) -> Result<BindConfig> {
    let address = target
        .address
        .parse()
        .with_context(|| format!("ingest.bind {}", target.address))?;
    let identity = target.endpoint.as_ref().zip(target.model.as_ref());
    Ok(BindConfig {
        ranks: NonZeroU32::new(target.ranks).unwrap_or(NonZeroU32::MIN),
        identity: identity.map(|(address, model)| identity_of(address, model)),
        replay_port: section.replay_port,
        require_source_address: section.require_source_address,
        topic_prefix: section.topic_prefix.clone(),
        ..BindConfig::new(address)
    })
}

fn connect(target: &ConnectTarget, section: &IngestSection) -> Result<ConnectConfig> {
    let place = || format!("ingest.connect {}", target.address);
    let address = target.address.parse().with_context(place)?;
    let replay = target
        .replay
        .as_deref()
        .map(str::parse)
        .transpose()
        .with_context(place)?;
    let identity = match (&target.endpoint, &target.model) {
        (Some(address), Some(model)) => Some(identity_of(address, model)),
        (None, None) => None,
        _ => bail!("{}: give both endpoint and model, or neither", place()),
    };
    Ok(ConnectConfig {
        replay,
        identity,
        ranks: NonZeroU32::new(target.ranks).unwrap_or(NonZeroU32::MIN),
        topic_prefix: section.topic_prefix.clone(),
        ..ConnectConfig::new(address)
    })
}

fn identity_of(address: &str, model: &str) -> Identity {
    Identity {
        cluster: None,
        address: address.to_owned(),
        model: model.to_owned(),
    }
}

/// The scorer's models, checked by the scorer too.
pub(crate) fn models(config: &Config) -> Result<ModelsConfig> {
    let models = config.models.iter().map(|model| {
        Ok(scorer_server::ModelConfig {
            name: model.name.clone(),
            aliases: model.aliases.clone(),
            source: model
                .source
                .as_deref()
                .map(|text| source(text, model))
                .transpose()?,
            profile: model.profile,
            hash: rules(model)?,
            block_size: model.block_size,
            adapters: model.adapters.iter().map(adapter).collect(),
            item_form: None,
        })
    });
    Ok(ModelsConfig {
        models: models.collect::<Result<_>>()?,
    })
}

/// A directory if there is one of that name, else a name on the hub.
fn source(text: &str, model: &ModelSection) -> Result<ModelSource> {
    let directory = Path::new(text);
    let location = if directory.is_dir() {
        ModelLocation::Directory(directory.to_owned())
    } else {
        let name = HubModel::named(text).with_context(|| {
            format!("models[].source {text:?} is neither a directory nor a name on the hub")
        })?;
        ModelLocation::Hub(name)
    };
    let chat_template = model
        .chat_template
        .as_deref()
        .map(template_file)
        .transpose()?;
    let options = ModelOptions {
        chat_template,
        template_variables: model.chat_template_kwargs.clone(),
        max_model_len: model.max_model_len,
        ..Default::default()
    };
    Ok(ModelSource { location, options })
}

fn template_file(path: &Path) -> Result<String> {
    read_bounded(path, TEMPLATE_LIMIT)
        .with_context(|| format!("models[].chat_template {}", path.display()))
}

/// A small text file.
fn read_bounded(path: &Path, limit: u64) -> Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(limit + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > limit {
        bail!("more than {limit} bytes");
    }
    Ok(text)
}

fn rules(model: &ModelSection) -> Result<Option<proto_model::engine::HashRules>> {
    let rules = model
        .engine
        .as_ref()
        .map(|engine| engine.rules())
        .transpose();
    rules.map_err(|(key, saw, want)| anyhow!("models {}: engine.{key}: {saw}; {want}", model.name))
}

fn adapter(section: &AdapterSection) -> Lora {
    Lora {
        name: section.name.clone(),
        id: section.id,
        path: section.path.clone(),
    }
}

/// Where tokenizers are found, and how much is remembered of what they did.
pub(crate) fn library(hub: &HubSection, scorer: &ScorerSection) -> Result<LibraryConfig> {
    let mut settings = HubConfig::from_variables(|name| std::env::var(name).ok());
    if let Some(endpoint) = &hub.endpoint {
        settings.endpoint.clone_from(endpoint);
    }
    if let Some(cache) = &hub.cache {
        settings.cache.clone_from(cache);
    }
    if let Some(path) = &hub.token_file {
        let token = read_bounded(path, TOKEN_LIMIT)
            .with_context(|| format!("hub.token_file {}", path.display()))?;
        settings.token = Some(token.trim().to_owned());
    }
    settings.offline |= hub.offline;
    settings.timeout = hub.timeout.duration();
    Ok(LibraryConfig {
        hub: settings,
        token_cache_bytes: scorer.token_cache.as_usize(),
        ..Default::default()
    })
}

/// The embedded store's settings.
pub(crate) fn store(config: &Config) -> EmbeddedOptions {
    EmbeddedOptions {
        history: HistoryOptions {
            ring_bytes: config.store.history.as_usize(),
            ..Default::default()
        },
        ..Default::default()
    }
}

/// Bounds on what is worked on at once.
pub(crate) fn scorer_limits(section: &ScorerSection) -> ScorerLimits {
    let cores = ScorerLimits::default().tokenizing;
    ScorerLimits {
        in_flight: section.in_flight,
        tokenizing: if section.tokenizing == 0 {
            cores
        } else {
            section.tokenizing
        },
        streams: section.streams,
        deadline: section.deadline.duration(),
        estimated_lifetime: section.estimated_lifetime.duration(),
        ..Default::default()
    }
}

/// What a request may bring.
pub(crate) fn request_limits(section: &ScorerSection) -> RequestLimits {
    let trusted = section.trust_request_chat_template;
    RequestLimits {
        body_bytes: section.request_bytes.as_usize(),
        template_bytes: if trusted { REQUEST_TEMPLATE_BYTES } else { 0 },
        ..Default::default()
    }
}

/// How endpoints are called in the dialects of other indexes.
pub(crate) fn instances(section: &ScorerSection) -> Result<InstanceNames> {
    let named = section
        .instances
        .iter()
        .map(|(endpoint, id)| Ok((endpoint.parse()?, id.clone())));
    Ok(InstanceNames::new(named.collect::<Result<_>>()?))
}

/// What a token is worth on each medium.
pub(crate) fn weights(section: &ScorerSection) -> Result<Weights> {
    let weights = section.medium_weights;
    Ok(Weights::new([
        weights.gpu,
        weights.cpu,
        weights.disk,
        weights.remote,
    ])?)
}

fn at_least_one(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).unwrap_or(NonZeroUsize::MIN)
}
