//! What is known about models, made ready for use.

use std::collections::HashMap;
use std::sync::Arc;

use proto_model::engine::{EngineHasher, HashRules};
use proto_model::{Lora, Profile};

use crate::config::{EngineKind, ModelConfig};

/// The rules of one base model.
#[derive(Debug)]
pub(crate) struct ModelRules {
    pub(crate) name: Arc<str>,
    pub(crate) profile: Profile,
    pub(crate) block_size: Option<u32>,
    pub(crate) engine: EngineKind,
    pub(crate) hasher: Option<Arc<EngineHasher>>,
    adapters: HashMap<String, Lora>,
}

impl ModelRules {
    fn new(config: &ModelConfig) -> Self {
        let hasher = config
            .hash
            .clone()
            .and_then(|rules| EngineHasher::new(rules).ok());
        let adapters = config
            .adapters
            .iter()
            .map(|lora| (lora.name.clone(), lora.clone()));
        Self {
            name: config.name.as_str().into(),
            profile: config.profile,
            block_size: config.block_size,
            engine: config.engine,
            hasher: hasher.map(Arc::new),
            adapters: adapters.collect(),
        }
    }

    /// The adapter of an event: as configured, else as far as the event says.
    pub(crate) fn adapter(&self, name: Option<&str>, id: Option<i64>) -> Option<Lora> {
        let known = name.and_then(|name| self.adapters.get(name));
        if let Some(lora) = known {
            return Some(lora.clone());
        }
        let by_id = |lora: &&Lora| id.is_some() && lora.id == id;
        if let (None, Some(lora)) = (name, self.adapters.values().find(by_id)) {
            return Some(lora.clone());
        }
        match (name, id) {
            (None, None) => None,
            (name, id) => Some(Lora {
                name: name.map_or_else(|| format!("#{}", id.unwrap_or(0)), str::to_owned),
                id,
                path: None,
            }),
        }
    }
}

/// All models, by name and alias.
#[derive(Debug)]
pub(crate) struct Models {
    by_name: HashMap<String, Arc<ModelRules>>,
}

impl Models {
    pub(crate) fn new(configs: &[ModelConfig]) -> Self {
        let mut by_name = HashMap::new();
        for config in configs {
            let rules = Arc::new(ModelRules::new(config));
            for name in config.aliases.iter().chain(std::iter::once(&config.name)) {
                by_name.insert(name.clone(), Arc::clone(&rules));
            }
        }
        Self { by_name }
    }

    /// The rules of the model that a publisher names; defaults if none are
    /// configured.
    pub(crate) fn resolve(&self, name: &str) -> Arc<ModelRules> {
        let known = self.by_name.get(name).map(Arc::clone);
        known.unwrap_or_else(|| Arc::new(ModelRules::new(&ModelConfig::new(name))))
    }
}

/// The hash rules of all models, for guessing at an engine's settings.
pub(crate) fn hash_rules(configs: &[ModelConfig]) -> Vec<HashRules> {
    configs
        .iter()
        .filter_map(|config| config.hash.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_lead_to_the_base_model() {
        let mut config = ModelConfig::new("Qwen/Qwen3-32B");
        config.aliases = vec!["qwen".to_owned()];
        config.adapters = vec![Lora {
            name: "a".into(),
            id: Some(3),
            path: Some("/a".into()),
        }];
        let models = Models::new(&[config]);
        assert_eq!(&*models.resolve("qwen").name, "Qwen/Qwen3-32B");
        assert_eq!(&*models.resolve("other").name, "other");
        let rules = models.resolve("qwen");
        assert_eq!(
            rules.adapter(Some("a"), None).and_then(|lora| lora.path),
            Some("/a".into())
        );
        assert_eq!(
            rules.adapter(None, Some(3)).map(|lora| lora.name),
            Some("a".into())
        );
        assert_eq!(
            rules.adapter(None, Some(4)).map(|lora| lora.name),
            Some("#4".into())
        );
        assert_eq!(rules.adapter(None, None), None);
    }
}
