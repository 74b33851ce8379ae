//! A checked score request.

use bytes::Bytes;
use proto_model::{CacheSalt, MediaItem, Medium, TokenId};

use crate::Candidate;
#[cfg(doc)]
use crate::limits;

/// What somebody wants to know: who holds how much of this prompt.
#[derive(Clone, PartialEq)]
pub struct ScoreQuery {
    /// Given back in a stream's response.
    pub request_id: String,
    /// The model, alias or adapter; empty if the body names it.
    pub model: String,
    /// The prompt.
    pub input: Input,
    /// The adapter, if `model` is the base model.
    pub lora: Option<String>,
    /// The engine's cache salt.
    pub salt: Option<CacheSalt>,
    /// Media items, in the order of their offsets; with [`Input::Tokens`] only.
    pub items: Vec<MediaItem>,
    /// Whom to ask about; empty: all.
    pub candidates: Vec<Candidate>,
    /// Weights that differ from the scorer's own.
    pub weights: MediumWeights,
    /// At most this many endpoints in the answer; `None`: the scorer's limit.
    pub limit: Option<usize>,
    /// Whether endpoints that hold nothing are listed too.
    pub include_unmatched: bool,
    /// Return the prompt's token ids too.
    pub include_token_ids: bool,
    /// Return the prompt's keys too, for `Routes.Record`.
    pub include_route_keys: bool,
    /// Answer from recorded routes alone, by the prompt's text; with
    /// [`Input::Text`], [`Input::Chat`] and [`Input::Completion`] only.
    pub estimation: Option<Estimation>,
}

impl ScoreQuery {
    /// A query about all endpoints, with everything else left to the scorer.
    #[must_use]
    pub fn new(model: impl Into<String>, input: Input) -> Self {
        Self {
            request_id: String::new(),
            model: model.into(),
            input,
            lora: None,
            salt: None,
            items: Vec::new(),
            candidates: Vec::new(),
            weights: MediumWeights::default(),
            limit: None,
            include_unmatched: false,
            include_token_ids: false,
            include_route_keys: false,
            estimation: None,
        }
    }
}

/// How a prompt's text is cut where only recorded routes are known. Recorders and
/// askers must agree, or nothing matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimation {
    /// Bytes per block, 1 to [`limits::BLOCK_SIZE`].
    pub block_bytes: u32,
    /// What lies behind this many blocks is not looked at; 1 to
    /// [`limits::TEXT_BLOCKS`].
    pub max_blocks: u32,
}

impl Default for Estimation {
    fn default() -> Self {
        Self {
            block_bytes: 64,
            max_blocks: 4096,
        }
    }
}

/// A prompt in one of its forms.
#[derive(Clone, PartialEq)]
pub enum Input {
    /// A plain prompt.
    Text(String),
    /// The body of an OpenAI chat completion request.
    Chat(Bytes),
    /// The body of an OpenAI completion request.
    Completion(Bytes),
    /// Token ids.
    Tokens(Vec<TokenId>),
    /// One number per whole block.
    Keys(KeyList),
}

impl Input {
    /// The form's name, for metrics and traces; never the content.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Chat(_) => "chat",
            Self::Completion(_) => "completion",
            Self::Tokens(_) => "tokens",
            Self::Keys(_) => "keys",
        }
    }
}

/// Block hashes or keys, one per whole block, first to last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyList {
    /// The numbers.
    pub values: Vec<u64>,
    /// What they are.
    pub form: KeyForm,
    /// Tokens per block; `None` where the model's endpoints agree on one.
    pub block_size: Option<u32>,
    /// Tokens of the whole prompt, if known.
    pub prompt_tokens: Option<u32>,
}

/// What the numbers of a [`KeyList`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// Block keys, in the model's scope.
    Key,
    /// Chain values: Dynamo's sequence hashes, Mooncake's `seq_hashes`.
    Rolling,
    /// Local hashes: Dynamo's `block_hashes`.
    Local,
}

/// What a token is worth on each medium, 0 to 1; `None` where not given.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MediumWeights {
    /// On the accelerator.
    pub gpu: Option<f64>,
    /// In host memory.
    pub cpu: Option<f64>,
    /// On local storage.
    pub disk: Option<f64>,
    /// On remote storage.
    pub remote: Option<f64>,
}

impl MediumWeights {
    /// The weight given for a medium.
    #[must_use]
    pub fn get(&self, medium: Medium) -> Option<f64> {
        match medium {
            Medium::Gpu => self.gpu,
            Medium::Cpu => self.cpu,
            Medium::Disk => self.disk,
            Medium::Remote => self.remote,
        }
    }
}
