//! The events, as engines name them.

use proto_model::{EngineHash, ExtraKey, Medium, TokenId};

/// One change to an engine's cache, as the engine announced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineEvent {
    /// Blocks were stored.
    BlockStored(Box<BlockStored>),
    /// One physical copy of each block is gone.
    BlockRemoved(BlockRemoved),
    /// Every block is gone.
    AllBlocksCleared {
        /// From this medium only; `None` where the engine names none.
        medium: Option<Medium>,
    },
}

/// `BlockStored`: a run of blocks, each the child of the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockStored {
    /// The blocks, first to last. May be fewer than the tokens fill (groups
    /// that keep only a window), or none at all.
    pub block_hashes: Vec<EngineHash>,
    /// The block before the first; `None` if the run starts a prompt.
    pub parent_block_hash: Option<EngineHash>,
    /// The tokens of the run; empty for placeholders of offload tiers.
    pub token_ids: Vec<TokenId>,
    /// Tokens per block; 0 for placeholders of offload tiers.
    pub block_size: u32,
    /// The LoRA adapter's number, where the engine gives one.
    pub lora_id: Option<i64>,
    /// The LoRA adapter's name (vLLM 0.14.1 and later).
    pub lora_name: Option<String>,
    /// Where the copies lie; GPU where the engine names no medium.
    pub medium: Medium,
    /// What the blocks depend on besides their tokens.
    pub extra_keys: ExtraKeys,
    /// The KV-cache group (vLLM 0.20 and later).
    pub group_idx: Option<u16>,
    /// The group's kind of attention (vLLM 0.22 and later).
    pub spec_kind: Option<SpecKind>,
    /// The group's window, in tokens.
    pub sliding_window: Option<u32>,
    /// Whether the copies lie with the publisher (vLLM 0.26 and later).
    pub locality: Option<Locality>,
    /// The secondary offload tier that owns the copies; `None` for the
    /// engine's own (vLLM 0.29 and later).
    pub ownership: Option<String>,
    /// The session whose request caused the store (vLLM 0.30 and later).
    pub session_id: Option<String>,
    /// The tokens after the run that its hashes depend on too (vLLM 0.33 with
    /// EAGLE-style speculative decoding).
    pub lookahead_token_ids: Vec<TokenId>,
    /// The store's own key of the object, from Mooncake's publisher, which
    /// knows no block hashes.
    pub object_key: Option<String>,
}

impl BlockStored {
    /// The blocks with their tokens and extra keys, first to last; `None` if
    /// the event does not say which tokens belong to which block.
    ///
    /// Hash `i` names tokens `i * block_size ..` only if there are exactly
    /// `block_hashes.len() * block_size` tokens. Groups that keep a window or
    /// skip blocks send more tokens than that, and placeholders none. A run
    /// with neither hashes nor tokens has no blocks.
    pub fn chunks(
        &self,
    ) -> Option<impl ExactSizeIterator<Item = (EngineHash, &[TokenId], &[ExtraKey])>> {
        let size = usize::try_from(self.block_size)
            .ok()
            .filter(|size| *size > 0)?;
        if self.block_hashes.len().checked_mul(size)? != self.token_ids.len() {
            return None;
        }
        let extras = match &self.extra_keys {
            ExtraKeys::Published(extras) => extras.as_slice(),
            ExtraKeys::NotPublished => &[],
        };
        if !extras.is_empty() && extras.len() != self.block_hashes.len() {
            return None;
        }
        let chunks = self
            .block_hashes
            .iter()
            .zip(self.token_ids.chunks_exact(size))
            .enumerate();
        Some(chunks.map(move |(index, (hash, tokens))| {
            (
                *hash,
                tokens,
                extras.get(index).map_or(&[][..], Vec::as_slice),
            )
        }))
    }
}

/// `BlockRemoved`: one physical copy of each block is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRemoved {
    /// The blocks.
    pub block_hashes: Vec<EngineHash>,
    /// Where the copies lay; GPU where the engine names no medium.
    pub medium: Medium,
    /// The KV-cache group (vLLM 0.20 and later).
    pub group_idx: Option<u16>,
    /// The group's kind of attention; vLLM leaves it out of removals.
    pub spec_kind: Option<SpecKind>,
    /// Whether the copies lay with the publisher (vLLM 0.26 and later).
    pub locality: Option<Locality>,
    /// The secondary offload tier that owned the copies (vLLM 0.29 and later).
    pub ownership: Option<String>,
    /// The store's own key of the object, from Mooncake's publisher.
    pub object_key: Option<String>,
}

/// What the blocks of a run depend on besides their tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtraKeys {
    /// The engine is too old to say (vLLM before 0.17.1): a salt or an item
    /// may be hashed into the block without any trace in the event.
    NotPublished,
    /// One list per block, in the engine's order; empty if no block has any.
    ///
    /// If the event names a LoRA adapter, the first key of a list is the
    /// adapter's name and not yet taken out.
    Published(Vec<Vec<ExtraKey>>),
}

/// What kind of layers a KV-cache group serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecKind {
    /// `full_attention`
    FullAttention,
    /// `mla_attention`
    MlaAttention,
    /// `sink_full_attention`
    SinkFullAttention,
    /// `sliding_window`
    SlidingWindow,
    /// `sliding_window_mla`
    SlidingWindowMla,
    /// `mamba`
    Mamba,
    /// `chunked_local_attention`
    ChunkedLocalAttention,
    /// `encoder_only_attention`
    EncoderOnlyAttention,
    /// `cross_attention`
    CrossAttention,
    /// A kind that this version does not know.
    Other(String),
}

impl SpecKind {
    /// Whether a group of this kind holds every block of a prefix, so that its
    /// blocks say how much of a prompt is cached. False for unknown kinds.
    #[must_use]
    pub fn is_prefix_complete(&self) -> bool {
        matches!(
            self,
            Self::FullAttention | Self::MlaAttention | Self::SinkFullAttention
        )
    }

    pub(crate) fn from_text(text: &str) -> Self {
        match text {
            "full_attention" => Self::FullAttention,
            "mla_attention" => Self::MlaAttention,
            "sink_full_attention" => Self::SinkFullAttention,
            "sliding_window" => Self::SlidingWindow,
            "sliding_window_mla" => Self::SlidingWindowMla,
            "mamba" => Self::Mamba,
            "chunked_local_attention" => Self::ChunkedLocalAttention,
            "encoder_only_attention" => Self::EncoderOnlyAttention,
            "cross_attention" => Self::CrossAttention,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Whether copies lie with the engine that announces them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locality {
    /// `LOCAL`: with the publisher.
    Local,
    /// `REMOTE`: elsewhere, within the publisher's reach.
    Remote,
    /// A word that this version does not know.
    Other(String),
}

impl Locality {
    pub(crate) fn from_text(text: &str) -> Self {
        match text {
            "LOCAL" => Self::Local,
            "REMOTE" => Self::Remote,
            other => Self::Other(other.to_owned()),
        }
    }
}
