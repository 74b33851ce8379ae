//! A model's tokenizer and templates, loaded and ready.

mod error;
mod files;
mod reuse;
mod special_tokens;
mod templates;
mod tokenizer;
mod tokenizer_config;

pub use error::LoadError;
pub use files::ModelFiles;
pub(crate) use files::{CONFIG_FILE, FILES, TOKENIZER_FILE};
pub use reuse::TokenReuse;
pub use special_tokens::SpecialTokens;
pub use tokenizer_config::TokenizerConfig;

use std::path::Path;
use std::sync::Arc;

use minijinja::Value;
use proto_model::CacheSalt;
use serde_json::{Map, Value as Json};

use crate::limits::RenderLimits;
use crate::prompt::{PromptError, TokenizedPrompt};
use crate::request::{
    ChatParts, ChatRequest, CompletionPrompt, CompletionRequest, TokenizeOptions, Truncate,
};
use crate::template::{Clock, ContentFormat, Template, TemplateError, value};
use crate::token_cache::TokenCache;
use templates::Templates;
use tokenizer::{Keep, ModelTokenizer, truncate};

/// How the engines serve the model, where that differs from what its files say.
#[derive(Debug, Clone, Default)]
pub struct ModelOptions {
    /// The source of a template to use instead of the model's
    /// (`--chat-template`).
    pub chat_template: Option<String>,
    /// How templates want content (`--chat-template-content-format`); detected
    /// if absent.
    pub content_format: Option<ContentFormat>,
    /// Template variables for requests that do not set them
    /// (`--default-chat-template-kwargs`).
    pub template_variables: Map<String, Json>,
    /// The engines' context in tokens (`--max-model-len`), needed only for
    /// requests that truncate to it.
    pub max_model_len: Option<usize>,
    /// Bounds on rendering.
    pub render: RenderLimits,
    /// What `strftime_now` reads.
    pub clock: Clock,
    /// Where token ids of texts are remembered, so that a conversation's next turn
    /// costs its new text only; the same ids come out with and without. `None`:
    /// every prompt is tokenised in full.
    pub token_cache: Option<Arc<TokenCache>>,
}

/// A loaded model. Shared between threads; nothing in it changes.
#[derive(Debug)]
pub struct Model {
    name: String,
    tokenizer: ModelTokenizer,
    templates: Templates,
    special_tokens: Vec<(String, Value)>,
    template_variables: Vec<(String, Value)>,
    content_format: Option<ContentFormat>,
    max_model_len: Option<usize>,
    render: RenderLimits,
    clock: Clock,
}

impl Model {
    /// Loads a model from a directory with its files.
    pub fn from_directory(
        name: &str,
        directory: &Path,
        options: ModelOptions,
    ) -> Result<Self, LoadError> {
        Self::from_files(name, ModelFiles::read(directory)?, options)
    }

    /// Loads a model from files that are in memory.
    pub fn from_files(
        name: &str,
        files: ModelFiles,
        options: ModelOptions,
    ) -> Result<Self, LoadError> {
        let config = files.tokenizer_config()?;
        let special_tokens = SpecialTokens::of(&config, &files)?;
        let tokenizer = ModelTokenizer::load(
            &files,
            &config,
            &special_tokens,
            options.token_cache.as_ref(),
        )?;
        let templates = Templates::load(&files, &config, &options)?;
        let variables = options.template_variables.into_iter();
        Ok(Self {
            name: name.to_owned(),
            tokenizer,
            templates,
            special_tokens: special_tokens.into_variables(),
            template_variables: variables
                .map(|(name, json)| (name, value::from_json(json)))
                .collect(),
            content_format: options.content_format,
            max_model_len: options.max_model_len,
            render: options.render,
            clock: options.clock,
        })
    }

    /// The name it was loaded under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The token ids of a chat request.
    pub fn chat(&self, request: ChatRequest) -> Result<TokenizedPrompt, PromptError> {
        let ChatRequest {
            common,
            parts,
            template,
        } = request;
        let prompt = self.prompt_text(parts, template.as_deref())?;
        let token_ids = self.tokenize(&prompt, common.tokenize, common.salt.as_ref())?;
        Ok(TokenizedPrompt {
            token_ids,
            salt: common.salt,
            model: common.model.unwrap_or_else(|| self.name.clone()),
        })
    }

    /// The text that a chat request's template gives.
    pub fn render(&self, request: ChatRequest) -> Result<String, PromptError> {
        self.prompt_text(request.parts, request.template.as_deref())
    }

    fn prompt_text(&self, parts: ChatParts, own: Option<&str>) -> Result<String, PromptError> {
        if let Some(source) = own {
            let template = self.compile(source)?;
            return template
                .render_hostile(parts, &self.special_tokens, &self.template_variables)
                .map_err(PromptError::Render);
        }
        let tools = parts.tools.is_some();
        let Some(template) = self.templates.pick(tools) else {
            return Err(PromptError::NoTemplate {
                model: self.name.clone(),
                tools,
            });
        };
        template
            .render(parts, &self.special_tokens, &self.template_variables)
            .map_err(PromptError::Render)
    }

    /// The token ids of each prompt of a completion request, in its order.
    pub fn completion(
        &self,
        request: CompletionRequest,
    ) -> Result<Vec<TokenizedPrompt>, PromptError> {
        let options = request.common.tokenize;
        let (model, salt) = (
            request.common.model.unwrap_or_else(|| self.name.clone()),
            request.common.salt,
        );
        let prompts = request.prompts.into_iter().map(|prompt| {
            let token_ids = match prompt {
                CompletionPrompt::Text(text) => self.tokenize(&text, options, salt.as_ref())?,
                CompletionPrompt::Tokens(tokens) => self.truncate(tokens, options)?,
            };
            Ok(TokenizedPrompt {
                token_ids,
                salt: salt.clone(),
                model: model.clone(),
            })
        });
        prompts.collect()
    }

    /// The token ids of a text. What is remembered of texts under one salt is not
    /// used under another.
    pub fn tokenize(
        &self,
        text: &str,
        options: TokenizeOptions,
        salt: Option<&CacheSalt>,
    ) -> Result<Vec<u32>, PromptError> {
        let keep = self.keep(options)?;
        let ids = self
            .tokenizer
            .encode(text, options.add_special_tokens, keep, salt);
        ids.map_err(|reason| self.tokenizer_failed(reason))
    }

    /// The same ids with nothing remembered and nothing reused: what tests and
    /// benchmarks compare with.
    pub fn tokenize_in_full(
        &self,
        text: &str,
        options: TokenizeOptions,
    ) -> Result<Vec<u32>, PromptError> {
        let keep = self.keep(options)?;
        let ids = self
            .tokenizer
            .encode_in_full(text, options.add_special_tokens, keep);
        ids.map_err(|reason| self.tokenizer_failed(reason))
    }

    /// How much of texts seen before is reused.
    #[must_use]
    pub fn token_reuse(&self) -> TokenReuse {
        self.tokenizer.reuse()
    }

    fn tokenizer_failed(&self, reason: String) -> PromptError {
        PromptError::Tokenizer {
            model: self.name.clone(),
            reason,
        }
    }

    fn keep(&self, options: TokenizeOptions) -> Result<Keep, PromptError> {
        Ok(Keep {
            limit: self.token_limit(options)?,
            first: options.truncate_right,
        })
    }

    fn compile(&self, source: &str) -> Result<Template, PromptError> {
        let limit = RenderLimits::REQUEST_TEMPLATE_BYTES;
        if source.len() > limit {
            return Err(PromptError::Template(TemplateError {
                line: 0,
                reason: format!("{} bytes are more than {limit}", source.len()),
            }));
        }
        let limits = self.render.for_request();
        let template =
            Template::compile(source, limits, self.clock.clone()).map_err(PromptError::Template)?;
        Ok(match self.content_format {
            Some(format) => template.with_content_format(format),
            None => template,
        })
    }

    fn truncate(
        &self,
        mut tokens: Vec<u32>,
        options: TokenizeOptions,
    ) -> Result<Vec<u32>, PromptError> {
        if let Some(limit) = self.token_limit(options)? {
            truncate(&mut tokens, limit, options.truncate_right);
        }
        Ok(tokens)
    }

    /// How many tokens of a prompt the request keeps.
    fn token_limit(&self, options: TokenizeOptions) -> Result<Option<usize>, PromptError> {
        match options.truncate {
            None => Ok(None),
            Some(Truncate::To(limit)) => Ok(Some(limit)),
            Some(Truncate::ToContext { output_tokens }) => match self.max_model_len {
                Some(context) if output_tokens < context => Ok(Some(context - output_tokens)),
                Some(context) => Err(PromptError::ContextTooSmall {
                    context,
                    output: output_tokens,
                }),
                None => Err(PromptError::ContextUnknown {
                    model: self.name.clone(),
                }),
            },
        }
    }
}
