//! Key spaces: what two blocks must share before their keys may be compared.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{BlockKey, EngineHash};

/// Version of the key format, mixed into every scope. A change of any rule in
/// `docs/block-keys.md` needs a new number and a new golden file.
pub const KEY_VERSION: u8 = 1;

/// How block keys of a model come about.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// From the block's token ids and extra keys; no agreement with the engine
    /// is needed.
    #[default]
    Content,
    /// From the engine's own hash, which the scorer reproduces from the prompt.
    Engine,
}

/// Whether a stream's events say what, besides its tokens, a block depends on.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Extras {
    /// Events carry extra keys (vLLM 0.17.1 and later, and SGLang).
    #[default]
    Published,
    /// Events carry none, though salts and items are hashed (older vLLM). Only
    /// the engine's hash tells such a block from a plain one.
    Hidden,
}

/// What two blocks must share before their keys may be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeySpace {
    /// How keys come about.
    pub profile: Profile,
    /// The base model's name as requests use it (after aliases are resolved).
    pub model: String,
    /// The LoRA adapter's name, or `#id` where events carry only its number.
    pub lora: Option<String>,
    /// Tokens per block.
    pub block_size: u32,
    /// Whether events carry extra keys. Not part of the scope: blocks without
    /// extras have the same key either way.
    pub extras: Extras,
}

impl KeySpace {
    /// The number that separates this space's keys from every other's.
    ///
    /// XXH3-64 with seed [`KEY_VERSION`] over
    /// `profile (1) | block size LE (4) | len(model) LE (4) | model | lora`,
    /// where `lora` is nothing, or `01 | len LE (4) | name`. In profile
    /// [`Profile::Engine`] the adapter is part of the engine's hash already and
    /// is left out here.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let mut bytes = Vec::with_capacity(16 + self.model.len());
        bytes.push(match self.profile {
            Profile::Content => 0,
            Profile::Engine => 1,
        });
        bytes.extend_from_slice(&self.block_size.to_le_bytes());
        push_text(&mut bytes, &self.model);
        if let (Profile::Content, Some(lora)) = (self.profile, &self.lora) {
            bytes.push(1);
            push_text(&mut bytes, lora);
        }
        Scope(xxh3_64_with_seed(&bytes, u64::from(KEY_VERSION)))
    }
}

pub(crate) fn push_text(bytes: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// A key space as one number: `key = chain value XOR scope`.
///
/// The chain value itself does not depend on the space, so a caller that has
/// chain values (another index's rolling hashes, say) needs only one XOR per
/// block to ask in any space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(pub u64);

impl Scope {
    /// The key of a block from its chain value (profile `content`).
    #[must_use]
    pub fn key(self, chain: u64) -> BlockKey {
        BlockKey(chain ^ self.0)
    }

    /// The chain value back from a key: the inverse of [`Scope::key`].
    #[must_use]
    pub fn chain(self, key: BlockKey) -> u64 {
        key.0 ^ self.0
    }

    /// The key of a block from the engine's hash (profile `engine`).
    #[must_use]
    pub fn engine_key(self, hash: EngineHash) -> BlockKey {
        BlockKey(hash.0 ^ self.0)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Content => "content",
            Self::Engine => "engine",
        })
    }
}
