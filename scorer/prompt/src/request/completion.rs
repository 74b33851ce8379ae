use serde_json::Value;

use super::fields::{Fields, bad_number, within, wrong_type};
use super::path::Path;
use super::{BodyError, Common, TokenizeOptions};
use crate::limits::RequestLimits;
use proto_model::CacheSalt;

/// A `/v1/completions` body, as far as it decides the prompts.
#[derive(Debug, Clone)]
pub struct CompletionRequest {
    pub(crate) common: Common,
    pub(crate) prompts: Vec<CompletionPrompt>,
}

/// One prompt of a completion request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompletionPrompt {
    /// To be tokenised.
    Text(String),
    /// Taken as it is.
    Tokens(Vec<u32>),
}

impl CompletionRequest {
    /// Reads a body.
    pub fn parse(body: &[u8], limits: &RequestLimits) -> Result<Self, BodyError> {
        let mut fields = Fields::of_body(body, limits)?;
        let common = fields.common(true)?;
        if fields.has("prompt_embeds") {
            let kind = "prompt_embeds".to_owned();
            return Err(BodyError::MediaNeedsTokens {
                path: kind.clone(),
                kind,
            });
        }
        let Some(prompt) = fields.take("prompt") else {
            return Err(fields.missing("prompt", ALLOWED));
        };
        let prompts = parse_prompts(prompt, limits)?;
        Ok(Self { common, prompts })
    }

    /// The model (or LoRA adapter) that the request names.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.common.model.as_deref()
    }

    /// Replaces the salt by one that came beside the body.
    pub fn set_cache_salt(&mut self, salt: Option<CacheSalt>) {
        self.common.salt = salt;
    }

    /// The salt that separates the request's cache entries.
    #[must_use]
    pub fn cache_salt(&self) -> Option<&CacheSalt> {
        self.common.salt.as_ref()
    }

    /// The prompts, in the body's order.
    #[must_use]
    pub fn prompts(&self) -> &[CompletionPrompt] {
        &self.prompts
    }

    /// How the prompts are tokenised.
    #[must_use]
    pub fn tokenize_options(&self) -> TokenizeOptions {
        self.common.tokenize
    }
}

const ALLOWED: &str =
    "a string, an array of strings, an array of token ids, or an array of such arrays";

fn parse_prompts(
    prompt: Value,
    limits: &RequestLimits,
) -> Result<Vec<CompletionPrompt>, BodyError> {
    let path = Path::Root.field("prompt");
    let values = match prompt {
        Value::String(text) => return Ok(vec![CompletionPrompt::Text(text)]),
        Value::Array(values) => values,
        other => return Err(wrong_type(path, &other, ALLOWED)),
    };
    let mut budget = limits.token_ids;
    match values.first() {
        None => Err(BodyError::BadValue {
            path: path.to_string(),
            found: "an empty array".to_owned(),
            allowed: ALLOWED,
        }),
        Some(Value::Number(_)) => Ok(vec![parse_tokens(values, path, &mut budget, limits)?]),
        Some(_) => {
            let values = within(path, values, limits.prompts)?
                .into_iter()
                .enumerate();
            values
                .map(|(index, value)| parse_one(value, path.index(index), &mut budget, limits))
                .collect()
        }
    }
}

fn parse_one(
    value: Value,
    path: Path<'_>,
    budget: &mut usize,
    limits: &RequestLimits,
) -> Result<CompletionPrompt, BodyError> {
    match value {
        Value::String(text) => Ok(CompletionPrompt::Text(text)),
        Value::Array(values) => parse_tokens(values, path, budget, limits),
        other => Err(wrong_type(
            path,
            &other,
            "a string or an array of token ids, like the first entry",
        )),
    }
}

fn parse_tokens(
    values: Vec<Value>,
    path: Path<'_>,
    budget: &mut usize,
    limits: &RequestLimits,
) -> Result<CompletionPrompt, BodyError> {
    let count = values.len();
    if count == 0 {
        let (path, found) = (path.to_string(), "an empty array".to_owned());
        return Err(BodyError::BadValue {
            path,
            found,
            allowed: "at least one token id",
        });
    }
    *budget = budget
        .checked_sub(count)
        .ok_or_else(|| BodyError::TooMany {
            path: path.to_string(),
            count: limits.token_ids - *budget + count,
            limit: limits.token_ids,
        })?;
    let mut tokens = Vec::with_capacity(count);
    for (index, value) in values.iter().enumerate() {
        match value.as_u64().and_then(|value| u32::try_from(value).ok()) {
            Some(token) => tokens.push(token),
            None => {
                return Err(bad_number(
                    path.index(index),
                    value,
                    "a token id, an integer from 0 to 4294967295",
                ));
            }
        }
    }
    Ok(CompletionPrompt::Tokens(tokens))
}
