//! Sections `models` and `hub`: what is known of models beforehand.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use proto_model::Profile;
use proto_model::engine::{EngineHasher, EngineVersion, HashAlgorithm, HashRules};
use scorer_prompt::HubModel;
use serde::{Deserialize, Deserializer, Serialize, de};
use services_runtime::config::{HumanDuration, Mistakes};

/// One base model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelSection {
    /// The name that requests and topics use.
    pub(crate) name: String,
    /// Other names for it.
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    /// Its tokenizer and chat template: a directory, or a name on the hub. None:
    /// only token ids and block keys can be scored.
    #[serde(default)]
    pub(crate) source: Option<String>,
    /// A chat template file to use instead of the model's (`--chat-template`).
    #[serde(default)]
    pub(crate) chat_template: Option<PathBuf>,
    /// Template variables for requests that do not set them
    /// (`--default-chat-template-kwargs`).
    #[serde(default)]
    pub(crate) chat_template_kwargs: serde_json::Map<String, serde_json::Value>,
    /// The engines' context in tokens (`--max-model-len`), for requests that
    /// truncate to it.
    #[serde(default)]
    pub(crate) max_model_len: Option<usize>,
    /// Whose customs the engines follow: `vllm` or `sglang`.
    #[serde(default)]
    pub(crate) server: ServerKind,
    /// How block keys come about.
    #[serde(default)]
    pub(crate) profile: Profile,
    /// Tokens per block, as the engines are configured. Other sizes are reported.
    #[serde(default)]
    pub(crate) block_size: Option<u32>,
    /// How the engines hash. Needed for profile `engine`, for salts and images
    /// of vLLM before 0.17, and to check the engines.
    #[serde(default)]
    pub(crate) engine: Option<EngineSection>,
    /// LoRA adapters of this model. Those not listed are learned from events.
    #[serde(default)]
    pub(crate) adapters: Vec<AdapterSection>,
}

/// Whose customs a model's engines follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ServerKind {
    /// `AllBlocksCleared` without a medium empties the GPU's pool only.
    #[default]
    Vllm,
    /// `AllBlocksCleared` without a medium empties every medium.
    Sglang,
}

/// How a model's engines hash blocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EngineSection {
    /// `--prefix-caching-hash-algo`: sha256_cbor_64bit, sha256_cbor, xxhash_cbor, ...
    pub(crate) algorithm: String,
    /// The text of `PYTHONHASHSEED`; none: not set.
    #[serde(default, deserialize_with = "number_or_text")]
    pub(crate) hash_seed: Option<String>,
    /// The engine's version; none: the newest known.
    #[serde(default)]
    pub(crate) version: Option<String>,
}

impl EngineSection {
    /// The rules, or which key is wrong, what was seen, and what would be right.
    pub(crate) fn rules(&self) -> Result<HashRules, (&'static str, String, String)> {
        let algorithm: HashAlgorithm = self.algorithm.parse().map_err(|error| {
            let known: Vec<_> = HashAlgorithm::ALL
                .iter()
                .map(|known| known.as_str())
                .collect();
            ("algorithm", format!("{error}"), known.join(", "))
        })?;
        let version = self
            .version
            .as_deref()
            .map(str::parse::<EngineVersion>)
            .transpose();
        let version = version.map_err(|error| {
            (
                "version",
                error.to_string(),
                "a version such as 0.10.1".to_owned(),
            )
        })?;
        let rules = HashRules::new(algorithm, self.hash_seed.clone(), version);
        match EngineHasher::new(rules.clone()) {
            Ok(_) => Ok(rules),
            Err(error) => Err((
                "algorithm",
                error.to_string(),
                "rules that can be reproduced".to_owned(),
            )),
        }
    }
}

/// People write the seed as a number; what the engine hashes is its text.
fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Seed;
    impl<'de> de::Visitor<'de> for Seed {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the text of PYTHONHASHSEED, such as 42")
        }

        fn visit_u64<E: de::Error>(self, seed: u64) -> Result<Self::Value, E> {
            Ok(Some(seed.to_string()))
        }

        fn visit_str<E: de::Error>(self, seed: &str) -> Result<Self::Value, E> {
            Ok(Some(seed.to_owned()))
        }

        fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Self::Value, D::Error> {
            inner.deserialize_any(self)
        }
    }
    deserializer.deserialize_option(Seed)
}

/// A LoRA adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdapterSection {
    /// The name that requests use as their model.
    pub(crate) name: String,
    /// Its number, for engines whose events carry only that.
    #[serde(default)]
    pub(crate) id: Option<i64>,
    /// Its path on the engine, which vLLM 0.31 and later hash but never publish.
    #[serde(default)]
    pub(crate) path: Option<String>,
}

/// Where tokenizers are found by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HubSection {
    /// The hub, or a mirror of it; none: `HF_ENDPOINT`, or the hub itself.
    pub(crate) endpoint: Option<String>,
    /// The folder of the hub's cache; none: `HF_HUB_CACHE`, `HF_HOME/hub`, or `~/.cache/huggingface/hub`.
    pub(crate) cache: Option<PathBuf>,
    /// A file that holds the access token; none: no token.
    pub(crate) token_file: Option<PathBuf>,
    /// Only the cache: never ask the network.
    pub(crate) offline: bool,
    /// How long one file may take.
    pub(crate) timeout: HumanDuration,
}

impl Default for HubSection {
    fn default() -> Self {
        Self {
            endpoint: None,
            cache: None,
            token_file: None,
            offline: false,
            timeout: HumanDuration::from_secs(60),
        }
    }
}

impl HubSection {
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        if let Some(file) = &self.token_file
            && let Err(error) = std::fs::metadata(file)
        {
            mistakes.push("hub.token_file", error, "a readable file");
        }
        if let Some(endpoint) = &self.endpoint
            && !(endpoint.starts_with("http://") || endpoint.starts_with("https://"))
        {
            mistakes.push(
                "hub.endpoint",
                endpoint,
                "a URL that begins with http:// or https://",
            );
        }
    }
}

/// Notes what cannot work in the list of models.
pub(super) fn check(models: &[ModelSection], mistakes: &mut Mistakes) {
    let mut names = BTreeSet::new();
    for (index, model) in models.iter().enumerate() {
        let path = format!("models.{index}");
        if model.name.is_empty() {
            mistakes.push(
                format!("{path}.name"),
                "empty",
                "the name that requests use",
            );
        }
        for name in std::iter::once(&model.name).chain(&model.aliases) {
            if !names.insert(name) {
                mistakes.push(
                    &path,
                    format!("the name {name:?} twice"),
                    "each name for one model only",
                );
            }
        }
        check_adapters(&path, model, mistakes);
        let for_tokenizer = model.chat_template.is_some()
            || model.max_model_len.is_some()
            || !model.chat_template_kwargs.is_empty();
        if for_tokenizer && model.source.is_none() {
            mistakes.push(
                format!("{path}.source"),
                "nothing, but settings of a tokenizer",
                "the tokenizer that chat_template, chat_template_kwargs or max_model_len belong to",
            );
        }
        if model.block_size == Some(0) {
            mistakes.push(format!("{path}.block_size"), 0, "the engines' --block-size");
        }
        if let Some(source) = &model.source
            && !Path::new(source).is_dir()
            && let Err(error) = HubModel::named(source)
        {
            mistakes.push(
                format!("{path}.source"),
                error,
                "a directory, or a name on the hub",
            );
        }
        if let Some(Err(mistake)) = model.engine.as_ref().map(EngineSection::rules) {
            mistakes.push(format!("{path}.engine.{}", mistake.0), mistake.1, mistake.2);
        }
        if model.profile == Profile::Engine && model.engine.is_none() {
            mistakes.push(
                format!("{path}.engine"),
                "nothing",
                "algorithm and hash_seed, which profile `engine` needs",
            );
        }
    }
}

/// An adapter's name may recur in another model, but not within one.
fn check_adapters(path: &str, model: &ModelSection, mistakes: &mut Mistakes) {
    let mut names = BTreeSet::new();
    for adapter in &model.adapters {
        if !names.insert(&adapter.name) || adapter.name == model.name {
            mistakes.push(
                format!("{path}.adapters"),
                format!("the name {:?} twice", adapter.name),
                "each name once",
            );
        }
    }
}
