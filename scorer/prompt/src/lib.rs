//! Request bodies to prompts, token ids and block keys.
//!
//! Takes an OpenAI request body and gives the token ids that vLLM computes for
//! the same body: the model's chat template, its tokenizer, its special tokens.
//! Sync throughout; [`ModelLibrary::get`] and the hub client block on files and
//! the network, everything else only computes.

mod conversation;
mod hub;
mod json;
mod library;
mod limits;
mod model;
mod prompt;
mod request;
mod template;
mod token_cache;

pub use hub::{HubConfig, HubError, HubModel};
pub use json::JsonError;
pub use library::{
    LibraryConfig, LibraryError, ModelLibrary, ModelLocation, ModelSource, Unlisted,
};
pub use limits::{RenderLimits, RequestLimits};
pub use model::{
    LoadError, Model, ModelFiles, ModelOptions, SpecialTokens, TokenReuse, TokenizerConfig,
};
pub use prompt::{PromptError, TokenizedPrompt};
pub use request::{
    BodyError, ChatRequest, CompletionPrompt, CompletionRequest, PlainPrompt, TokenizeOptions,
    Truncate,
};
pub use template::{Clock, ContentFormat, RenderError, Template, TemplateError};
pub use token_cache::{TokenCache, TokenCacheStats};
