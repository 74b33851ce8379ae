//! Profile `engine`: the engines' own block hashes, reproduced.
//!
//! vLLM names a block by `H((parent, tokens, extra))`, a Python tuple of the
//! parent's hash, the block's token ids and `None` or a tuple of extra keys.
//! What differs between algorithms is only how that tuple becomes bytes (CBOR,
//! pickle, or Python's own `hash()`) and which digest is taken of them; what
//! differs between versions is the root's "parent" and the form of the extra
//! keys. So there is one description of the tuple (`tuple`), one `sink` per
//! encoding, and one table of versions (`rules`).

mod algorithm;
mod cbor;
mod chain;
mod digest;
mod hasher;
mod packed;
mod pickle;
mod python;
mod rules;
mod sha256;
mod sink;
mod tuple;
mod version;

pub use algorithm::{HashAlgorithm, UnknownHashAlgorithm};
pub use chain::EngineChain;
pub use digest::EngineDigest;
pub use hasher::EngineHasher;
pub use rules::{HashRules, HashRulesError};
pub use tuple::{EngineExtras, LoraKey, LoraKeyError};
pub use version::{EngineVersion, EngineVersionError};
