//! The checked settings, found by any name that a request may use.

use std::collections::BTreeMap;

use proto_model::engine::EngineHasher;
use proto_model::{ItemForm, Lora};

use super::{ModelConfig, ModelMistake, ModelsConfig};

/// The configured models.
#[derive(Debug, Default)]
pub struct ModelCatalog {
    models: Vec<ConfiguredModel>,
    /// Models' names and aliases.
    names: BTreeMap<String, usize>,
    /// Adapters' names, and the models that have one of that name.
    adapters: BTreeMap<String, Vec<usize>>,
}

/// One configured model, ready for use.
#[derive(Debug)]
pub struct ConfiguredModel {
    /// As configured.
    pub config: ModelConfig,
    /// The engine's hashing, where its rules are given.
    pub hasher: Option<EngineHasher>,
}

impl ConfiguredModel {
    /// The adapter of this name.
    #[must_use]
    pub fn adapter(&self, name: &str) -> Option<&Lora> {
        self.config
            .adapters
            .iter()
            .find(|adapter| adapter.name == name)
    }

    /// How the engine names media items, if that is known.
    #[must_use]
    pub fn item_form(&self) -> Option<ItemForm> {
        self.config
            .item_form
            .or_else(|| self.hasher.as_ref().map(EngineHasher::item_form))
    }
}

impl ModelsConfig {
    /// Checks everything, and lists every mistake.
    pub fn validate(&self) -> Result<(), Vec<ModelMistake>> {
        ModelCatalog::new(self.clone()).map(drop)
    }
}

impl ModelCatalog {
    /// Checks the settings and indexes their names.
    pub fn new(config: ModelsConfig) -> Result<Self, Vec<ModelMistake>> {
        let mut catalog = Self::default();
        let mut mistakes = Vec::new();
        for (index, model) in config.models.into_iter().enumerate() {
            catalog.name_all(index, &model, &mut mistakes);
            let hasher = hasher(&model, &mut mistakes);
            catalog.models.push(ConfiguredModel {
                config: model,
                hasher,
            });
        }
        if mistakes.is_empty() {
            Ok(catalog)
        } else {
            Err(mistakes)
        }
    }

    /// What a request's model name stands for: the model, and the adapter if
    /// the name is an adapter's.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(&ConfiguredModel, Option<&Lora>)> {
        if let Some(model) = self.names.get(name) {
            return Some((self.models.get(*model)?, None));
        }
        let [model] = self.adapters.get(name)?.as_slice() else {
            return None;
        };
        let model = self.models.get(*model)?;
        Some((model, model.adapter(name)))
    }

    /// The configured base models, in the order of the configuration.
    pub fn models(&self) -> impl Iterator<Item = &ConfiguredModel> {
        self.models.iter()
    }

    fn name_all(&mut self, index: usize, model: &ModelConfig, mistakes: &mut Vec<ModelMistake>) {
        let mut add = |field, name: &str| {
            if name.is_empty() {
                return mistakes.push(ModelMistake::EmptyName { index, field });
            }
            if let Some(before) = self.names.insert(name.to_owned(), index) {
                let first = self.models.get(before);
                mistakes.push(ModelMistake::AmbiguousName {
                    name: name.to_owned(),
                    first: first.map_or(&model.name, |m| &m.config.name).clone(),
                    second: model.name.clone(),
                });
            }
        };
        add("name", &model.name);
        for alias in &model.aliases {
            add("aliases", alias);
        }
        for adapter in &model.adapters {
            self.name_adapter(index, model, &adapter.name, mistakes);
        }
    }

    /// Models may have adapters of the same name; such a name alone then says
    /// too little, and endpoints or the request must say more.
    fn name_adapter(
        &mut self,
        index: usize,
        model: &ModelConfig,
        name: &str,
        mistakes: &mut Vec<ModelMistake>,
    ) {
        if name.is_empty() {
            let field = "adapters.name";
            return mistakes.push(ModelMistake::EmptyName { index, field });
        }
        let models = self.adapters.entry(name.to_owned()).or_default();
        if models.last() == Some(&index) || model.name == name {
            mistakes.push(ModelMistake::AmbiguousName {
                name: name.to_owned(),
                first: model.name.clone(),
                second: model.name.clone(),
            });
        } else {
            models.push(index);
        }
    }
}

fn hasher(model: &ModelConfig, mistakes: &mut Vec<ModelMistake>) -> Option<EngineHasher> {
    let name = || model.name.clone();
    if let Some(block_size) = model.block_size
        && !(1..=proto_api::limits::BLOCK_SIZE).contains(&block_size)
    {
        mistakes.push(ModelMistake::BlockSize {
            model: name(),
            block_size,
        });
    }
    let Some(rules) = &model.hash else {
        if model.profile == proto_model::Profile::Engine {
            mistakes.push(ModelMistake::HashRulesMissing { model: name() });
        }
        return None;
    };
    EngineHasher::new(rules.clone())
        .map_err(|error| {
            mistakes.push(ModelMistake::HashRules {
                model: name(),
                error,
            })
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use proto_model::Profile;
    use proto_model::engine::{HashAlgorithm, HashRules};

    use super::*;

    fn model(name: &str) -> ModelConfig {
        ModelConfig {
            name: name.to_owned(),
            ..ModelConfig::default()
        }
    }

    fn adapter(name: &str) -> Lora {
        Lora {
            name: name.to_owned(),
            id: None,
            path: None,
        }
    }

    fn catalog(models: Vec<ModelConfig>) -> Result<ModelCatalog, Vec<ModelMistake>> {
        ModelCatalog::new(ModelsConfig { models })
    }

    #[test]
    fn models_are_found_by_every_name() {
        let base = ModelConfig {
            aliases: vec!["alias".to_owned()],
            adapters: vec![adapter("lora")],
            ..model("base")
        };
        let catalog = catalog(vec![model("other"), base]).expect("valid");
        for (name, lora) in [("base", None), ("alias", None), ("lora", Some("lora"))] {
            let (found, adapter) = catalog.find(name).expect(name);
            assert_eq!(found.config.name, "base");
            assert_eq!(adapter.map(|adapter| adapter.name.as_str()), lora);
        }
        assert!(catalog.find("none").is_none());
    }

    #[test]
    fn an_adapter_of_two_models_is_not_guessed() {
        let with = |name: &str| ModelConfig {
            adapters: vec![adapter("lora")],
            ..model(name)
        };
        let catalog = catalog(vec![with("a"), with("b")]).expect("valid");
        assert!(catalog.find("lora").is_none());
        let (found, _) = catalog.find("b").expect("b");
        assert!(found.adapter("lora").is_some());
    }

    #[test]
    fn every_mistake_is_listed() {
        let rules = HashRules::new(HashAlgorithm::XxhashCbor, None, None);
        let models = vec![
            model(""),
            ModelConfig {
                profile: Profile::Engine,
                ..model("a")
            },
            ModelConfig {
                hash: Some(rules),
                block_size: Some(0),
                ..model("b")
            },
            ModelConfig {
                aliases: vec!["a".to_owned()],
                ..model("c")
            },
        ];
        let mistakes = catalog(models).expect_err("four wrong models");
        let texts: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(mistakes.len(), 5, "{texts:#?}");
        assert!(matches!(
            mistakes[0],
            ModelMistake::EmptyName {
                index: 0,
                field: "name"
            }
        ));
        assert!(matches!(&mistakes[1], ModelMistake::HashRulesMissing { model } if model == "a"));
        assert!(matches!(
            &mistakes[2],
            ModelMistake::BlockSize { block_size: 0, .. }
        ));
        assert!(matches!(&mistakes[3], ModelMistake::HashRules { .. }));
        assert!(matches!(
            &mistakes[4],
            ModelMistake::AmbiguousName { name, first, second }
                if name == "a" && first == "a" && second == "c"
        ));
    }
}
