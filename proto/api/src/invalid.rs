//! Each way in which a message can be invalid.

use proto_model::EndpointError;

use crate::{CandidateError, Failure, FailureKind, limits};

/// Why a `ScoreRequest` is not a query.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidQuery {
    /// The request id is longer than [`limits::REQUEST_ID_BYTES`].
    #[error("request_id has {0} bytes; at most {max} are allowed", max = limits::REQUEST_ID_BYTES)]
    RequestIdTooLong(usize),
    /// A request on a stream has no request id.
    #[error("request_id is empty; on a stream it is needed to tell the answers apart")]
    RequestIdMissing,
    /// No model, and the input has no body that could name one.
    #[error("model is empty; name the model, an alias of it, or a LoRA adapter")]
    ModelMissing,
    /// A model's or adapter's name is longer than [`limits::NAME_BYTES`].
    #[error("{field} has {length} bytes; at most {max} are allowed", max = limits::NAME_BYTES)]
    NameTooLong {
        /// `model` or `lora`.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// The adapter is given, but empty.
    #[error("lora is empty; leave it out for the base model")]
    LoraEmpty,
    /// None of the input's forms is set.
    #[error("input is missing; set one of text, chat, completion, tokens, keys")]
    InputMissing,
    /// The prompt has nothing in it.
    #[error("{0} is empty; give at least one element")]
    InputEmpty(&'static str),
    /// The dense form of token ids ends within an id.
    #[error("token_ids_le has {0} bytes; every id takes 4, so give a multiple of 4")]
    TokenBytes(usize),
    /// The prompt is larger than a limit.
    #[error("{form} has {size} {unit}; at most {limit} are allowed")]
    InputTooLarge {
        /// Which form of input.
        form: &'static str,
        /// How large it is.
        size: usize,
        /// In what.
        unit: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The form of the keys is not said.
    #[error("keys.form is {0}; say 1 (key), 2 (rolling) or 3 (local)")]
    KeyForm(i32),
    /// Block keys of a scope need the block size that the scope has.
    #[error("keys.block_size is 0; with form key the block size must be given")]
    BlockSizeMissing,
    /// The block size is beyond any engine's.
    #[error("keys.block_size is {0}; at most {max} is allowed", max = limits::BLOCK_SIZE)]
    BlockSizeTooLarge(u32),
    /// The prompt is said to be shorter than its blocks.
    #[error("keys.prompt_tokens is {prompt_tokens}, less than {blocks} blocks of {block_size}")]
    PromptTooShort {
        /// The prompt's tokens as given.
        prompt_tokens: u32,
        /// The number of keys.
        blocks: usize,
        /// Tokens per block.
        block_size: u32,
    },
    /// The salt is empty, or longer than [`limits::SALT_BYTES`].
    #[error("cache_salt has {0} bytes; 1 to {max} are allowed", max = limits::SALT_BYTES)]
    Salt(usize),
    /// Items or a salt were given beside block keys, which have them inside.
    #[error("{0} cannot be combined with keys; hash it into the keys, or send tokens")]
    NotWithKeys(&'static str),
    /// Items were given beside text, where their positions are not known.
    #[error("items cannot be combined with {0}; their positions are known only beside tokens")]
    ItemsNotWith(&'static str),
    /// There are more items than [`limits::ITEMS`].
    #[error("items has {0} elements; at most {max} are allowed", max = limits::ITEMS)]
    TooManyItems(usize),
    /// An item is malformed.
    #[error("items[{index}].{part} is {seen}; expected {expected}")]
    Item {
        /// Which item, from 0.
        index: usize,
        /// Which of its fields.
        part: &'static str,
        /// What was seen.
        seen: u64,
        /// What would be right.
        expected: &'static str,
    },
    /// There are more candidates than [`limits::CANDIDATES`].
    #[error("candidates has {0} elements; at most {max} are allowed", max = limits::CANDIDATES)]
    TooManyCandidates(usize),
    /// A candidate names no endpoint.
    #[error("candidates[{index}]: {error}")]
    Candidate {
        /// Which, from 0.
        index: usize,
        /// What is wrong with it.
        error: CandidateError,
    },
    /// A weight is no number from 0 to 1.
    #[error("weights.{medium} is {weight}; expected a number from 0 to 1")]
    Weight {
        /// Whose.
        medium: &'static str,
        /// What was seen.
        weight: f64,
    },
    /// The limit is beyond [`limits::ENDPOINTS`].
    #[error("limit is {0}; at most {max} is allowed, 0 for the scorer's own", max = limits::ENDPOINTS)]
    LimitTooLarge(u32),
    /// Estimation was asked for, but there is no text.
    #[error(
        "estimation cannot be combined with {0}; recorded routes are found by the prompt's text: \
         send text, chat or completion"
    )]
    EstimationNotWith(&'static str),
    /// Estimation computes no token ids that could be returned.
    #[error("include_token_ids cannot be combined with estimation, which makes no tokens")]
    TokensWithEstimation,
    /// A number of the estimation is beyond its limit.
    #[error("estimation.{part} is {seen}; at most {limit} is allowed, 0 for the default")]
    Estimation {
        /// Which.
        part: &'static str,
        /// What was seen.
        seen: u32,
        /// The limit.
        limit: u32,
    },
}

impl InvalidQuery {
    /// The request field at fault.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::RequestIdTooLong(_) | Self::RequestIdMissing => "request_id",
            Self::ModelMissing => "model",
            Self::NameTooLong { field, .. } => field,
            Self::LoraEmpty => "lora",
            Self::InputMissing => "input",
            Self::InputEmpty(form) | Self::InputTooLarge { form, .. } => form,
            Self::TokenBytes(_) => "token_ids_le",
            Self::KeyForm(_) => "keys.form",
            Self::BlockSizeMissing | Self::BlockSizeTooLarge(_) => "keys.block_size",
            Self::PromptTooShort { .. } => "keys.prompt_tokens",
            Self::Salt(_) => "cache_salt",
            Self::NotWithKeys(field) => field,
            Self::ItemsNotWith(_) | Self::TooManyItems(_) | Self::Item { .. } => "items",
            Self::TooManyCandidates(_) | Self::Candidate { .. } => "candidates",
            Self::Weight { .. } => "weights",
            Self::LimitTooLarge(_) => "limit",
            Self::EstimationNotWith(_) | Self::Estimation { .. } => "estimation",
            Self::TokensWithEstimation => "include_token_ids",
        }
    }
}

impl From<InvalidQuery> for Failure {
    fn from(error: InvalidQuery) -> Self {
        let kind = match error {
            InvalidQuery::InputTooLarge { .. }
            | InvalidQuery::TooManyItems(_)
            | InvalidQuery::TooManyCandidates(_) => FailureKind::TooLarge,
            _ => FailureKind::InvalidArgument,
        };
        Self::of_field(kind, error.field(), error.to_string())
    }
}

/// Why a response is not an answer. Seen by clients of a foreign or newer server.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidAnswer {
    /// An endpoint of the answer is malformed.
    #[error("endpoints[{index}]: {error}")]
    Endpoint {
        /// Which, from 0.
        index: usize,
        /// What is wrong with it.
        error: EndpointError,
    },
    /// A field has a value that this version does not know.
    #[error("{field} has the unknown value {value}")]
    Unknown {
        /// Which field.
        field: &'static str,
        /// Its number.
        value: i32,
    },
    /// A field that every answer has is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The score is no number from 0 to 1.
    #[error("endpoints[{index}].score is {score}; expected a number from 0 to 1")]
    Score {
        /// Which endpoint, from 0.
        index: usize,
        /// What was seen.
        score: f64,
    },
}

/// Why a change on a watch cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChange {
    /// Neither of the forms is set; a newer server may have more of them.
    #[error("{0} is missing or of a kind that this version does not know")]
    Missing(&'static str),
    /// The endpoint is malformed.
    #[error("publisher: {0}")]
    Endpoint(#[from] EndpointError),
    /// A field has a value that this version does not know.
    #[error("{field} has the unknown value {value}")]
    Unknown {
        /// Which field.
        field: &'static str,
        /// Its number.
        value: i32,
    },
    /// The scope does not follow from the space's other fields.
    #[error(
        "space.scope is {found:#018x}, but its fields give {expected:#018x}: another key version"
    )]
    Scope {
        /// What was sent.
        found: u64,
        /// What the fields give here.
        expected: u64,
    },
}

/// Why the answer to an append says nothing. Seen by clients of a newer server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOutcome {
    /// There is not one outcome per command.
    #[error("{found} outcomes for {expected} commands")]
    Count {
        /// How many there are.
        found: usize,
        /// How many commands were sent.
        expected: usize,
    },
    /// A field has a value that this version does not know.
    #[error("outcomes: {field} has the unknown value {value}")]
    Unknown {
        /// Which field.
        field: &'static str,
        /// Its number.
        value: i32,
    },
}
