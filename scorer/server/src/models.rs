//! What the operator says about models; everything is optional.

mod catalog;
mod mistake;

pub use catalog::{ConfiguredModel, ModelCatalog};
pub use mistake::ModelMistake;

use proto_model::engine::HashRules;
use proto_model::{ItemForm, Lora, Profile};
use scorer_prompt::{LibraryConfig, ModelSource};

/// The models' settings, as a configuration file gives them.
#[derive(Debug, Clone, Default)]
pub struct ModelsConfig {
    /// One entry per base model.
    pub models: Vec<ModelConfig>,
}

/// One base model's settings.
#[derive(Debug, Clone, Default)]
pub struct ModelConfig {
    /// The name by which engines announce it (`--served-model-name`).
    pub name: String,
    /// Other names that requests use.
    pub aliases: Vec<String>,
    /// Where its tokenizer and template are. Without it, requests bring token
    /// ids or keys, or the library finds the model by its name.
    pub source: Option<ModelSource>,
    /// How block keys come about.
    pub profile: Profile,
    /// How the engine hashes: needed in profile `engine`, and for salts and
    /// items of engines that do not publish extra keys.
    pub hash: Option<HashRules>,
    /// The engine's block size, if it is to be checked.
    pub block_size: Option<u32>,
    /// LoRA adapters. Events name adapters, too; these add numbers and paths.
    pub adapters: Vec<Lora>,
    /// How the engine names media items; `None`: both ways are tried.
    pub item_form: Option<ItemForm>,
}

impl ModelsConfig {
    /// The library's configuration with these models' sources added.
    #[must_use]
    pub fn with_sources(&self, mut library: LibraryConfig) -> LibraryConfig {
        for model in &self.models {
            if let Some(source) = &model.source {
                library.models.insert(model.name.clone(), source.clone());
            }
        }
        library
    }
}
