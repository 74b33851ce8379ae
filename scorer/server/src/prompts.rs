//! From a query's input to what keys are computed from. Blocks: run it where
//! blocking is.

mod error;

pub use error::PromptsError;

use std::sync::Arc;

use proto_api::{Input, limits};
use proto_model::{CacheSalt, TokenId};
use scorer_prompt::{
    ChatRequest, CompletionPrompt, CompletionRequest, Model, ModelLibrary, PlainPrompt,
    RequestLimits, TokenCache, TokenizeOptions,
};

/// The models' tokenizers and templates, and bounds on what they are given.
#[derive(Debug)]
pub struct Prompts {
    library: Arc<ModelLibrary>,
    limits: RequestLimits,
}

/// An input as far as it can be read without knowing its model.
pub(crate) enum Parsed {
    Text(String),
    Chat(Box<ChatRequest>),
    Completion(Box<CompletionRequest>),
    Tokens(Vec<TokenId>),
}

impl Parsed {
    /// The model that the input itself names.
    pub(crate) fn model(&self) -> Option<&str> {
        match self {
            Self::Chat(chat) => chat.model(),
            Self::Completion(completion) => completion.model(),
            Self::Text(_) | Self::Tokens(_) => None,
        }
    }

    /// The salt that the input itself brings.
    pub(crate) fn salt(&self) -> Option<&CacheSalt> {
        match self {
            Self::Chat(chat) => chat.cache_salt(),
            Self::Completion(completion) => completion.cache_salt(),
            Self::Text(_) | Self::Tokens(_) => None,
        }
    }
}

impl Prompts {
    /// Prompts of the library's models. Bodies are bounded by `limits`, and by
    /// what the API allows.
    #[must_use]
    pub fn new(library: Arc<ModelLibrary>, limits: RequestLimits) -> Self {
        let limits = RequestLimits {
            body_bytes: limits.body_bytes.min(limits::PROMPT_BYTES),
            token_ids: limits.token_ids.min(limits::TOKENS),
            ..limits
        };
        Self { library, limits }
    }

    /// What is remembered of texts and their token ids.
    pub(crate) fn token_cache(&self) -> &Arc<TokenCache> {
        self.library.token_cache()
    }

    /// Whether the model is loaded.
    #[must_use]
    pub fn is_loaded(&self, model: &str) -> bool {
        self.library.loaded(model).is_some()
    }

    /// Reads the input's structure. `None` for keys, which have none.
    pub(crate) fn parse(&self, input: Input) -> Result<Option<Parsed>, PromptsError> {
        let body = |field| move |error| PromptsError::Body { field, error };
        Ok(Some(match input {
            Input::Text(text) => Parsed::Text(text),
            Input::Tokens(ids) => Parsed::Tokens(ids),
            Input::Chat(bytes) => {
                let chat = ChatRequest::parse(&bytes, &self.limits).map_err(body("chat"))?;
                Parsed::Chat(Box::new(chat))
            }
            Input::Completion(bytes) => {
                let request = CompletionRequest::parse(&bytes, &self.limits);
                let request = request.map_err(body("completion"))?;
                if request.prompts().len() != 1 {
                    return Err(PromptsError::NotOnePrompt(request.prompts().len()));
                }
                Parsed::Completion(Box::new(request))
            }
            Input::Keys(_) => return Ok(None),
        }))
    }

    /// The input as plain bytes, as far as `max_bytes` of it. Needs nothing of the
    /// model.
    pub(crate) fn plain(
        &self,
        input: Input,
        max_bytes: usize,
    ) -> Result<PlainPrompt, PromptsError> {
        let body = |field| move |error| PromptsError::Body { field, error };
        match input {
            Input::Text(text) => Ok(PlainPrompt::of_text(text, max_bytes)),
            Input::Chat(bytes) => {
                PlainPrompt::of_chat(&bytes, &self.limits, max_bytes).map_err(body("chat"))
            }
            Input::Completion(bytes) => {
                let request = CompletionRequest::parse(&bytes, &self.limits);
                let request = request.map_err(body("completion"))?;
                let prompts = request.prompts().len();
                PlainPrompt::of_completion(request, max_bytes)
                    .ok_or(PromptsError::NotOnePrompt(prompts))
            }
            Input::Tokens(_) | Input::Keys(_) => Err(PromptsError::NoText(input.kind())),
        }
    }

    /// The token ids that the engine would compute. `salt` is the query's own, or
    /// else the input's: texts under different salts share no time either.
    pub(crate) fn tokenize(
        &self,
        model: &str,
        parsed: Parsed,
        salt: Option<&CacheSalt>,
    ) -> Result<Vec<TokenId>, PromptsError> {
        let failed = |field| move |error| PromptsError::Prompt { field, error };
        match parsed {
            Parsed::Tokens(ids) => Ok(ids),
            Parsed::Text(text) => {
                let options = TokenizeOptions {
                    add_special_tokens: true,
                    truncate: None,
                    truncate_right: false,
                };
                self.model(model)?
                    .tokenize(&text, options, salt)
                    .map_err(failed("text"))
            }
            Parsed::Chat(mut chat) => {
                chat.set_cache_salt(salt.cloned());
                let prompt = self.model(model)?.chat(*chat).map_err(failed("chat"))?;
                Ok(prompt.token_ids)
            }
            Parsed::Completion(mut request) => {
                request.set_cache_salt(salt.cloned());
                // Ready-made tokens need no tokenizer, and so no model files.
                if let ([CompletionPrompt::Tokens(ids)], None) =
                    (request.prompts(), request.tokenize_options().truncate)
                {
                    return Ok(ids.clone());
                }
                let prompts = self.model(model)?.completion(*request);
                let first = prompts.map_err(failed("completion"))?.into_iter().next();
                first
                    .map(|prompt| prompt.token_ids)
                    .ok_or(PromptsError::NotOnePrompt(0))
            }
        }
    }

    fn model(&self, model: &str) -> Result<Arc<Model>, PromptsError> {
        self.library
            .get(model)
            .map_err(|error| PromptsError::NoTokenizer {
                model: model.to_owned(),
                error,
            })
    }
}
