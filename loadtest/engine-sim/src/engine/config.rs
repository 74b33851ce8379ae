//! What an engine is.

use super::hash::Algorithm;
use super::timing::Calibration;

/// Which vLLM an engine is like, where versions differ. Both were compared with
/// recordings of real ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// vLLM 0.10 with `--prefix-caching-hash-algo sha256_cbor_64bit`: events are
    /// arrays without extra keys; all freed blocks go to the end of the queue.
    V0_10,
    /// vLLM 0.32 with `sha256_cbor`: events are maps with extra keys; freed blocks
    /// that hold no prefix are taken first.
    V0_32,
}

impl Generation {
    /// How it hashes blocks.
    #[must_use]
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::V0_10 => Algorithm::Sha256Cbor64Bit,
            Self::V0_32 => Algorithm::Sha256Cbor,
        }
    }

    /// The version that `/version` tells.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::V0_10 => "0.10.1.1",
            Self::V0_32 => "0.32.0",
        }
    }
}

/// How one engine is set up; vLLM's names and defaults.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Tokens per block (`--block-size`).
    pub block_size: usize,
    /// Tokens that the KV cache has room for, whole blocks of them.
    pub kv_tokens: usize,
    /// The longest prompt and reply together (`--max-model-len`).
    pub max_model_len: usize,
    /// Requests that run at the same time (`--max-num-seqs`).
    pub max_num_seqs: usize,
    /// Tokens that one step computes (`--max-num-batched-tokens`).
    pub max_num_batched_tokens: usize,
    /// Requests that may wait. vLLM has no such limit; a simulation needs one.
    pub max_waiting: usize,
    /// Which vLLM it is like.
    pub generation: Generation,
    /// `PYTHONHASHSEED`.
    pub hash_seed: String,
    /// How fast it is.
    pub calibration: Calibration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            block_size: 64,
            kv_tokens: 307_328,
            max_model_len: 262_144,
            max_num_seqs: 256,
            max_num_batched_tokens: 8_192,
            max_waiting: 65_536,
            generation: Generation::V0_10,
            hash_seed: "42".to_owned(),
            calibration: Calibration::PUBLISHED,
        }
    }
}

/// Why there is no such engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number that must not be 0.
    #[error("{field} is 0; give at least 1")]
    Zero {
        /// Which.
        field: &'static str,
    },
    /// More blocks than can be numbered.
    #[error("kv_tokens / block_size is {blocks} blocks; at most 4294967295 can be simulated")]
    TooManyBlocks {
        /// How many.
        blocks: usize,
    },
    /// A single request would not fit.
    #[error(
        "max_model_len ({max_model_len}) does not fit the cache: kv_tokens less one block that is \
         never used leaves {room} tokens"
    )]
    ModelTooLong {
        /// The longest request.
        max_model_len: usize,
        /// What the cache has room for.
        room: usize,
    },
}

impl EngineConfig {
    /// Blocks of the cache, the unused one among them.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.kv_tokens / self.block_size.max(1)
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let numbers = [
            ("block_size", self.block_size),
            ("max_model_len", self.max_model_len),
            ("max_num_seqs", self.max_num_seqs),
            ("max_num_batched_tokens", self.max_num_batched_tokens),
            ("max_waiting", self.max_waiting),
        ];
        if let Some((field, _)) = numbers.into_iter().find(|(_, number)| *number == 0) {
            return Err(ConfigError::Zero { field });
        }
        let blocks = self.blocks();
        if u32::try_from(blocks).is_err() {
            return Err(ConfigError::TooManyBlocks { blocks });
        }
        let room = blocks.saturating_sub(1) * self.block_size;
        if self.max_model_len > room {
            return Err(ConfigError::ModelTooLong {
                max_model_len: self.max_model_len,
                room,
            });
        }
        Ok(())
    }
}
