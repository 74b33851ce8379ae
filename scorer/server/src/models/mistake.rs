//! What can be wrong with the models' settings.

use proto_model::engine::HashRulesError;

/// A setting that cannot be meant as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelMistake {
    /// A name is empty.
    #[error("models[{index}].{field} is empty; give the name that requests use")]
    EmptyName {
        /// Which model, from 0.
        index: usize,
        /// Which field of it.
        field: &'static str,
    },
    /// Two models, aliases or adapters have one name, so that a request could
    /// mean either.
    #[error("name {name:?} stands for both {first} and {second}; names must be unique")]
    AmbiguousName {
        /// The name.
        name: String,
        /// What it stood for first.
        first: String,
        /// What it stands for again.
        second: String,
    },
    /// Profile `engine` without the engine's hash rules.
    #[error(
        "model {model}: profile engine needs hash rules; set algorithm and seed as on the engine"
    )]
    HashRulesMissing {
        /// The model.
        model: String,
    },
    /// The hash rules cannot be reproduced.
    #[error("model {model}: {error}")]
    HashRules {
        /// The model.
        model: String,
        /// Why.
        error: HashRulesError,
    },
    /// The block size is zero, or beyond any engine's.
    #[error("model {model}: block size {block_size} is not between 1 and {max}", max = proto_api::limits::BLOCK_SIZE)]
    BlockSize {
        /// The model.
        model: String,
        /// What was given.
        block_size: u32,
    },
}
