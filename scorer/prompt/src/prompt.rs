//! The result: a prompt as the engine will see it.

use proto_model::CacheSalt;

use crate::template::{RenderError, TemplateError};

/// One prompt's token ids, with what else its block keys depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizedPrompt {
    /// The prompt's token ids, exactly the engine's.
    pub token_ids: Vec<u32>,
    /// The salt of the first block.
    pub salt: Option<CacheSalt>,
    /// The model or LoRA adapter that the request names; without one, the model
    /// that tokenised it.
    pub model: String,
}

/// Why a readable request has no token ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// The model has no chat template that fits the request.
    #[error(
        "model {model:?} has no chat template{}; configure one for it, or use completions",
        if *.tools { " for requests with tools" } else { "" }
    )]
    NoTemplate {
        /// The model.
        model: String,
        /// Whether the request has tools.
        tools: bool,
    },
    /// The request's own template cannot be compiled.
    #[error("the request's chat_template cannot be compiled")]
    Template(#[source] TemplateError),
    /// The template cannot be rendered for this conversation.
    #[error("the chat template cannot be rendered")]
    Render(#[source] RenderError),
    /// The tokenizer failed.
    #[error("the tokenizer of model {model:?} failed: {reason}")]
    Tokenizer {
        /// The model.
        model: String,
        /// The tokenizer's own words.
        reason: String,
    },
    /// `truncate_prompt_tokens` is -1, and the model's context is not known.
    #[error(
        "truncate_prompt_tokens: -1 needs the context length of model {model:?}; configure its max_model_len, or send the number"
    )]
    ContextUnknown {
        /// The model.
        model: String,
    },
    /// The output tokens asked for leave no context for the prompt, or fewer
    /// tokens are to be kept than the context has.
    #[error("truncate_prompt_tokens: the context of {context} tokens less {output} output tokens allows at most {}", .context.saturating_sub(*.output))]
    ContextTooSmall {
        /// The model's context in tokens.
        context: usize,
        /// Output tokens that the request asks for.
        output: usize,
    },
}
