//! What a request says about its prompt, besides its tokens.

use crate::CacheSalt;

/// A media item's place in the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaItem {
    /// The engine's identifier of the item, usually a hash of its content.
    pub identifier: String,
    /// The item's first token, counted from the prompt's first.
    pub offset: u32,
    /// How many tokens stand for the item.
    pub length: u32,
}

/// A LoRA adapter as the engine was given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lora {
    /// The name that requests use as their model.
    pub name: String,
    /// The engine's number of it; hashed by vLLM up to 0.11.0.
    pub id: Option<i64>,
    /// Where the engine loads it from; hashed by vLLM from 0.31 on.
    pub path: Option<String>,
}

/// What a prompt's block hashes depend on, besides its tokens.
#[derive(Debug, Clone, Copy, Default)]
pub struct PromptContext<'a> {
    /// The adapter, if the request uses one.
    pub lora: Option<&'a Lora>,
    /// Media items, sorted by offset.
    pub items: &'a [MediaItem],
    /// The salt that the request brings; an empty one counts as none.
    pub salt: Option<&'a CacheSalt>,
    /// For prompts given as embeddings: what the engine hashes per block, from
    /// the first block on (the block's SHA-256 from vLLM 0.17 on, the raw bytes
    /// before).
    pub embeds: &'a [Vec<u8>],
}

impl<'a> PromptContext<'a> {
    /// The salt, if there is one.
    pub(crate) fn effective_salt(&self) -> Option<&'a str> {
        self.salt
            .map(CacheSalt::expose)
            .filter(|salt| !salt.is_empty())
    }

    /// Whether no block has extra keys (the adapter aside).
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.items.is_empty() && self.embeds.is_empty() && self.effective_salt().is_none()
    }
}

/// How an engine names a media item in a block's extra keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemForm {
    /// By identifier (vLLM before 0.19).
    Identifier,
    /// By identifier and by where it begins, relative to the block.
    #[default]
    IdentifierOffset,
}
