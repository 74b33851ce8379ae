//! Why a query has no answer.

use std::time::Duration;

use proto_api::{Failure, FailureKind, InvalidQuery, limits};

use crate::prompts::PromptsError;

/// Known models that a message lists at most.
const LISTED: usize = 20;

/// Why a query has no answer. Never carries prompt text.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The request itself is malformed.
    #[error(transparent)]
    Invalid(#[from] InvalidQuery),
    /// The replica has not yet taken over its first snapshot.
    #[error("the index is not loaded yet; try again, or ask another scorer")]
    NotReady,
    /// Nobody knows the model.
    #[error("model {model:?} is unknown; known are: {}", list(.known))]
    UnknownModel {
        /// As the request names it.
        model: String,
        /// All known base models.
        known: Vec<String>,
    },
    /// Several base models have an adapter of this name.
    #[error("adapter {lora:?} exists for {}; set model to one of them and lora to the adapter", list(.models))]
    AmbiguousAdapter {
        /// The adapter.
        lora: String,
        /// The base models.
        models: Vec<String>,
    },
    /// Neither the request nor its body names a model.
    #[error("neither the request nor its body names a model; set model")]
    ModelMissing,
    /// The body's name of the model is longer than [`limits::NAME_BYTES`].
    #[error("model has {0} bytes; at most {max} are allowed", max = limits::NAME_BYTES)]
    NameTooLong(usize),
    /// No endpoint has blocks of the given size.
    #[error("no endpoint of model {model} has blocks of {given} tokens; known are {known:?}")]
    UnknownBlockSize {
        /// The model.
        model: String,
        /// As the request gives it.
        given: u32,
        /// The sizes in use.
        known: Vec<u32>,
    },
    /// The keys do not say how many tokens they stand for.
    #[error("model {model} has endpoints with blocks of {known:?} tokens; say which the keys mean")]
    AmbiguousBlockSize {
        /// The model.
        model: String,
        /// The sizes in use.
        known: Vec<u32>,
    },
    /// Content hashes cannot be looked up where keys come from engine hashes.
    #[error(
        "model {model} is indexed by engine hashes (profile engine); content hashes match nothing there; send token ids or text"
    )]
    KeysNeedContent {
        /// The model.
        model: String,
    },
    /// Profile `engine` without a way to compute its keys.
    #[error(
        "model {model} is indexed by engine hashes; configure models[].hash (algorithm, seed and version as on the engine)"
    )]
    HashRulesMissing {
        /// The model.
        model: String,
    },
    /// The prompt could not be turned into tokens.
    #[error(transparent)]
    Prompt(#[from] PromptsError),
    /// The tokenised prompt is longer than [`limits::TOKENS`].
    #[error("the prompt has {0} tokens; at most {max} are allowed", max = limits::TOKENS)]
    TooManyTokens(usize),
    /// Too many queries are being answered.
    #[error("{limit} {what} are in flight, which is the limit; try again, or ask another scorer")]
    Busy {
        /// Queries, or streams.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The caller's deadline passed.
    #[error("the caller's deadline passed before the answer was ready")]
    DeadlineExceeded,
    /// The scorer's own limit passed; the caller set none, or a later one.
    #[error(
        "the answer was not ready within {} ms, the scorer's own limit (its setting deadline); try again, or ask another scorer",
        .0.as_millis()
    )]
    OwnDeadline(Duration),
    /// The thread that worked on the query is gone.
    #[error("the query's worker ended without an answer")]
    WorkerLost,
}

impl From<&ScoreError> for Failure {
    fn from(error: &ScoreError) -> Self {
        use FailureKind as Kind;
        let text = error.to_string();
        let field = |kind, field| Self::of_field(kind, field, text.clone());
        match error {
            ScoreError::Invalid(invalid) => invalid.clone().into(),
            ScoreError::NotReady => Self::new(Kind::Unavailable, text),
            ScoreError::UnknownModel { .. } => field(Kind::NotFound, "model"),
            ScoreError::AmbiguousAdapter { .. } => field(Kind::InvalidArgument, "lora"),
            ScoreError::ModelMissing | ScoreError::NameTooLong(_) => {
                field(Kind::InvalidArgument, "model")
            }
            ScoreError::UnknownBlockSize { .. } | ScoreError::AmbiguousBlockSize { .. } => {
                field(Kind::InvalidArgument, "keys.block_size")
            }
            ScoreError::KeysNeedContent { .. } => field(Kind::FailedPrecondition, "keys"),
            ScoreError::HashRulesMissing { .. } => field(Kind::FailedPrecondition, "model"),
            ScoreError::Prompt(error) => error.into(),
            ScoreError::TooManyTokens(_) => field(Kind::TooLarge, "input"),
            ScoreError::Busy { .. } => Self::new(Kind::Busy, text),
            ScoreError::DeadlineExceeded | ScoreError::OwnDeadline(_) => {
                Self::new(Kind::DeadlineExceeded, text)
            }
            ScoreError::WorkerLost => Self::new(Kind::Internal, text),
        }
    }
}

impl From<ScoreError> for Failure {
    fn from(error: ScoreError) -> Self {
        Self::from(&error)
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none yet".to_owned();
    }
    let mut text = names
        .iter()
        .take(LISTED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > LISTED {
        text.push_str(&format!(" and {} more", names.len() - LISTED));
    }
    text
}
