//! OpenAI request bodies, as far as they decide the prompt.
//!
//! Everything else in a body (sampling, streaming, tracing) is left unread, as
//! it changes no token of the prompt.

mod chat;
mod completion;
mod error;
mod fields;
mod message;
mod path;
mod plain;
mod tools;

pub(crate) use chat::ChatParts;
pub use chat::ChatRequest;
pub use completion::{CompletionPrompt, CompletionRequest};
pub use error::BodyError;
pub(crate) use message::{Message, Part};
pub use plain::PlainPrompt;

use proto_model::CacheSalt;

/// How the prompt's text becomes token ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenizeOptions {
    /// Whether the tokenizer adds its special tokens (`<s>` and the like): off by
    /// default for chat, whose template writes them, on for completions.
    pub add_special_tokens: bool,
    /// How many of the prompt's tokens to keep; `None` keeps all.
    pub truncate: Option<Truncate>,
    /// Whether truncation keeps the first tokens; the default keeps the last.
    pub truncate_right: bool,
}

/// `truncate_prompt_tokens`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncate {
    /// At most so many tokens.
    To(usize),
    /// What the model's context leaves after so many output tokens (`-1`).
    ToContext {
        /// `max_completion_tokens` or `max_tokens`, 0 if neither is given.
        output_tokens: usize,
    },
}

/// What chat and completion bodies share.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) model: Option<String>,
    pub(crate) salt: Option<CacheSalt>,
    pub(crate) tokenize: TokenizeOptions,
}
