//! Which recordings are played, as which endpoints, under which configuration.

use anyhow::{Context, Result};
use loadtest_recordings::{EngineMeta, Recording};
use proto_model::Profile;
use services_runtime::config::ListenAddress;

use super::Act;
use crate::cli::DemoArgs;
use crate::config::{AdapterSection, BindTarget, Config, EngineSection, ModelSection, ServerKind};

/// The model that the recorded servers were started with.
const MODEL: &str = "Qwen3-32B";

/// The adapter that some of them served, and its path there.
pub(super) const ADAPTER: (&str, &str) = ("my-adapter", "/adapters/my-adapter");

/// The recordings and the configuration that they need.
pub(super) struct Plan {
    acts: Vec<Act>,
    profile: Profile,
    tokenizer: String,
}

impl Plan {
    pub(super) fn new(args: &DemoArgs) -> Result<Self> {
        let traces = args.recordings.join("traces");
        let profile = if args.profile == "engine" {
            Profile::Engine
        } else {
            Profile::Content
        };
        let mut acts = Vec::new();
        for tag in Recording::tags(&traces)
            .context("run from the project's folder, or give --recordings")?
        {
            if args
                .only
                .as_ref()
                .is_some_and(|only| !tag.contains(only.as_str()))
            {
                continue;
            }
            let recording = Recording::load(&traces, &tag)?;
            let address = format!("10.0.0.{}:8000", acts.len() + 1);
            let model = model_name(profile, &recording.meta, &tag);
            acts.push(Act {
                recording,
                address,
                model,
            });
        }
        let tokenizer = args.recordings.join("model").display().to_string();
        Ok(Self {
            acts,
            profile,
            tokenizer,
        })
    }

    pub(super) fn acts(&self) -> &[Act] {
        &self.acts
    }

    /// Free ports, and one model section per name.
    pub(super) fn config(&self) -> Config {
        let mut config = Config::default();
        config.ingest.bind = vec![BindTarget::new("tcp://127.0.0.1:0")];
        config.scorer.grpc = ListenAddress::loopback(0);
        config.scorer.http = ListenAddress::loopback(0);
        config.telemetry.log_level = "warn".to_owned();
        for act in &self.acts {
            if config.models.iter().all(|model| model.name != act.model) {
                config.models.push(self.model(act));
            }
        }
        config
    }

    fn model(&self, act: &Act) -> ModelSection {
        let meta = &act.recording.meta;
        let rules = EngineSection {
            algorithm: meta.algorithm.clone(),
            hash_seed: Some(meta.seed.clone()),
            version: Some(meta.version.clone()),
        };
        let needed = self.profile == Profile::Engine || hides_extras(meta);
        let adapter = AdapterSection {
            name: ADAPTER.0.to_owned(),
            id: None,
            path: Some(ADAPTER.1.to_owned()),
        };
        let has_adapter = act
            .recording
            .requests
            .iter()
            .any(|request| request.model() == ADAPTER.0);
        let adapters = if has_adapter || act.model == MODEL {
            vec![adapter]
        } else {
            Vec::new()
        };
        ModelSection {
            name: act.model.clone(),
            aliases: Vec::new(),
            source: Some(self.tokenizer.clone()),
            chat_template: None,
            chat_template_kwargs: serde_json::Map::new(),
            max_model_len: None,
            server: ServerKind::Vllm,
            profile: self.profile,
            block_size: None,
            engine: needed.then_some(rules),
            adapters,
        }
    }
}

/// All servers that need no rules of their own serve one and the same model.
fn model_name(profile: Profile, meta: &EngineMeta, tag: &str) -> String {
    if profile == Profile::Content && !hides_extras(meta) {
        MODEL.to_owned()
    } else {
        format!("{MODEL}/{tag}")
    }
}

/// vLLM before 0.17 hashes salts and images, but does not publish them.
fn hides_extras(meta: &EngineMeta) -> bool {
    meta.version.starts_with("0.10.")
}
