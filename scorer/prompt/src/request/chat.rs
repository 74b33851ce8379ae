use serde_json::{Map, Value};

use super::fields::{Fields, bad_value, wrong_type};
use super::message::Message;
use super::path::Path;
use super::{BodyError, Common, TokenizeOptions, tools};
use crate::limits::RequestLimits;
use proto_model::CacheSalt;

/// A `/v1/chat/completions` body, as far as it decides the prompt.
#[derive(Debug, Clone)]
pub struct ChatRequest {
    pub(crate) common: Common,
    pub(crate) parts: ChatParts,
    pub(crate) template: Option<String>,
}

/// What a chat template is given.
#[derive(Debug, Clone)]
pub(crate) struct ChatParts {
    pub(crate) messages: Vec<Message>,
    pub(crate) tools: Option<Vec<Value>>,
    pub(crate) continue_final_message: bool,
    /// Everything else by the name the template knows it by.
    pub(crate) variables: Map<String, Value>,
}

impl ChatRequest {
    /// Reads a body.
    pub fn parse(body: &[u8], limits: &RequestLimits) -> Result<Self, BodyError> {
        let mut fields = Fields::of_body(body, limits)?;
        let common = fields.common(false)?;
        let template = parse_template(&mut fields, limits)?;
        let messages = parse_messages(&mut fields, limits)?;
        let tools = tools::definitions(&mut fields, limits)?;
        let (variables, continue_final_message) = parse_variables(&mut fields, limits)?;
        Ok(Self {
            common,
            parts: ChatParts {
                messages,
                tools,
                continue_final_message,
                variables,
            },
            template,
        })
    }

    /// The model (or LoRA adapter) that the request names.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.common.model.as_deref()
    }

    /// The salt that separates the request's cache entries.
    #[must_use]
    pub fn cache_salt(&self) -> Option<&CacheSalt> {
        self.common.salt.as_ref()
    }

    /// Replaces the salt by one that came beside the body.
    pub fn set_cache_salt(&mut self, salt: Option<CacheSalt>) {
        self.common.salt = salt;
    }

    /// How the rendered prompt is tokenised.
    #[must_use]
    pub fn tokenize_options(&self) -> TokenizeOptions {
        self.common.tokenize
    }
}

fn parse_template(
    fields: &mut Fields<'_>,
    limits: &RequestLimits,
) -> Result<Option<String>, BodyError> {
    let Some(template) = fields.string("chat_template")? else {
        return Ok(None);
    };
    if limits.template_bytes == 0 {
        return Err(BodyError::TemplateNotAllowed);
    }
    if template.len() > limits.template_bytes {
        let (count, limit) = (template.len(), limits.template_bytes);
        return Err(BodyError::TooMany {
            path: "chat_template (in bytes)".to_owned(),
            count,
            limit,
        });
    }
    // vLLM falls back to the model's template if this one is empty.
    Ok(Some(template).filter(|template| !template.is_empty()))
}

fn parse_messages(
    fields: &mut Fields<'_>,
    limits: &RequestLimits,
) -> Result<Vec<Message>, BodyError> {
    let Some(messages) = fields.array("messages", limits.messages)? else {
        return Err(fields.missing("messages", "an array of messages"));
    };
    let path = Path::Root.field("messages");
    let messages = messages.into_iter().enumerate();
    messages
        .map(|(index, message)| Message::parse(message, path.index(index), limits))
        .collect()
}

/// Names that `chat_template_kwargs` cannot set: the engine gives them itself.
const RESERVED: [&str; 5] = [
    "chat_template",
    "tokenize",
    "messages",
    "conversation",
    "tools",
];

/// `chat_template_kwargs`, then what the body's own fields set over them.
fn parse_variables(
    fields: &mut Fields<'_>,
    limits: &RequestLimits,
) -> Result<(Map<String, Value>, bool), BodyError> {
    let mut variables = fields.object("chat_template_kwargs")?.unwrap_or_default();
    let path = Path::Root.field("chat_template_kwargs");
    if let Some(name) = RESERVED.iter().find(|name| variables.contains_key(**name)) {
        return Err(BodyError::Conflict {
            path: path.field(name).to_string(),
            reason: "the engine sets this itself; use the body's own field",
        });
    }
    let continue_final_message = parse_turn(fields, &mut variables)?;
    if let Some(documents) = parse_documents(fields, limits)? {
        variables.insert("documents".to_owned(), documents);
    }
    if let Some(effort) = parse_reasoning_effort(fields)? {
        // Asking for reasoning switches it on in templates that need to be told.
        variables
            .entry("enable_thinking")
            .or_insert(Value::Bool(effort != "none"));
        variables.insert("reasoning_effort".to_owned(), Value::String(effort));
    }
    Ok((variables, continue_final_message))
}

/// Whose turn the prompt ends with.
fn parse_turn(
    fields: &mut Fields<'_>,
    variables: &mut Map<String, Value>,
) -> Result<bool, BodyError> {
    let add_generation_prompt = fields.bool("add_generation_prompt")?.unwrap_or(true);
    let continue_final_message = fields.bool("continue_final_message")?.unwrap_or(false);
    if add_generation_prompt && continue_final_message {
        return Err(BodyError::Conflict {
            path: "continue_final_message".to_owned(),
            reason: "true needs add_generation_prompt to be false, and its default is true",
        });
    }
    variables.insert(
        "add_generation_prompt".to_owned(),
        Value::Bool(add_generation_prompt),
    );
    variables.shift_remove("continue_final_message");
    Ok(continue_final_message)
}

fn parse_documents(
    fields: &mut Fields<'_>,
    limits: &RequestLimits,
) -> Result<Option<Value>, BodyError> {
    let Some(documents) = fields.array("documents", limits.items)? else {
        return Ok(None);
    };
    let path = Path::Root.field("documents");
    for (index, document) in documents.iter().enumerate() {
        if !document.is_object() {
            return Err(wrong_type(path.index(index), document, "an object"));
        }
    }
    Ok(Some(Value::Array(documents)))
}

fn parse_reasoning_effort(fields: &mut Fields<'_>) -> Result<Option<String>, BodyError> {
    let name = "reasoning_effort";
    match fields.string(name)? {
        Some(effort)
            if !["none", "minimal", "low", "medium", "high", "xhigh", "max"]
                .contains(&effort.as_str()) =>
        {
            let allowed = "none, minimal, low, medium, high, xhigh or max";
            Err(bad_value(Path::Root.field(name), &effort, allowed))
        }
        effort => Ok(effort),
    }
}
