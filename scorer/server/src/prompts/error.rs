//! Why a prompt has no tokens here.

use std::error::Error;

use proto_api::{Failure, FailureKind};
use scorer_prompt::{BodyError, LibraryError, PromptError};

/// Why a prompt could not be turned into tokens.
#[derive(Debug, thiserror::Error)]
pub enum PromptsError {
    /// There are no files from which to tokenise.
    #[error(
        "no tokenizer for model {model:?}; set models[].source to a directory with tokenizer.json \
         or to a hub name, or send token ids"
    )]
    NoTokenizer {
        /// The base model.
        model: String,
        /// What the library says.
        #[source]
        error: LibraryError,
    },
    /// The body is not one that the engine would take.
    #[error("{field} body refused")]
    Body {
        /// Which form of input.
        field: &'static str,
        /// What is wrong.
        #[source]
        error: BodyError,
    },
    /// The body is readable, but has no tokens.
    #[error("{field} has no tokens")]
    Prompt {
        /// Which form of input.
        field: &'static str,
        /// Why.
        #[source]
        error: PromptError,
    },
    /// Recorded routes are found by text, and there is none.
    #[error("{0} has no text that recorded routes could be found by")]
    NoText(&'static str),
    /// A completion body with several prompts, or with none.
    #[error("completion has {0} prompts; score them one by one")]
    NotOnePrompt(usize),
}

impl From<&PromptsError> for Failure {
    fn from(error: &PromptsError) -> Self {
        use FailureKind as Kind;
        let text = with_causes(error);
        match error {
            PromptsError::NoTokenizer { error, .. } if error.retryable() => {
                Self::new(Kind::Unavailable, text)
            }
            PromptsError::NoTokenizer { .. } => {
                Self::of_field(Kind::FailedPrecondition, "model", text)
            }
            PromptsError::Body { field, error } => {
                let kind = match error {
                    BodyError::TooLarge { .. } | BodyError::TooMany { .. } => Kind::TooLarge,
                    _ => Kind::InvalidArgument,
                };
                Self::of_field(kind, field, text)
            }
            PromptsError::Prompt { field, error } => {
                let kind = match error {
                    PromptError::NoTemplate { .. } | PromptError::ContextUnknown { .. } => {
                        Kind::FailedPrecondition
                    }
                    PromptError::Tokenizer { .. } => Kind::Internal,
                    PromptError::Template(_)
                    | PromptError::Render(_)
                    | PromptError::ContextTooSmall { .. } => Kind::InvalidArgument,
                };
                Self::of_field(kind, field, text)
            }
            PromptsError::NoText(_) => Self::of_field(Kind::InvalidArgument, "estimation", text),
            PromptsError::NotOnePrompt(_) => {
                Self::of_field(Kind::InvalidArgument, "completion", text)
            }
        }
    }
}

/// The error and what caused it, in one line: a status has no chain.
fn with_causes(error: &PromptsError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
