//! A prompt as plain bytes, for those who know nothing of its model.
//!
//! ```text
//! chat        tool FD tool FD … FF   message FF message FF …
//! message     role FE part FD part … (FA mark value)…
//! part        text, or FB kind FE what it refers to
//! completion  the prompt, or its token ids as u32 each, little-endian
//! ```
//! FA to FF occur in no UTF-8, so nothing in a text can look like a separator.
//! Every message ends itself and nothing depends on what follows, so an earlier
//! turn's messages are the first bytes of a later turn's.

use proto_model::CacheSalt;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::fields::{Fields, within, wrong_type};
use super::path::Path;
use super::{BodyError, CompletionPrompt, CompletionRequest};
use crate::limits::RequestLimits;

/// Ends the tools, and every message.
const END: u8 = 0xff;
/// Ends a role, and the kind of a part.
const OF: u8 = 0xfe;
/// Stands between parts.
const NEXT: u8 = 0xfd;
/// Begins a part that is no text.
const REFERENCE: u8 = 0xfb;
/// Begins a field beside the content.
const FIELD: u8 = 0xfa;

/// A reference longer than this, such as a picture inside a URL, is replaced by
/// its SHA-256: what a picture weighs has nothing to do with its bytes.
const REFERENCE_BYTES: usize = 256;

/// A message's further fields that templates print, by their mark.
const FIELDS: [(&str, u8); 3] = [("name", b'n'), ("tool_calls", b'c'), ("tool_call_id", b'i')];

/// What a body is compared by where no tokenizer and no template is known. A
/// prompt's text: never log it.
#[derive(Clone)]
pub struct PlainPrompt {
    model: Option<String>,
    salt: Option<CacheSalt>,
    bytes: Vec<u8>,
}

impl PlainPrompt {
    /// Reads a `/v1/chat/completions` body, as far as `max_bytes` of the prompt.
    /// Takes bodies that [`super::ChatRequest`] refuses for want of the engine's
    /// processor: those with media.
    pub fn of_chat(
        body: &[u8],
        limits: &RequestLimits,
        max_bytes: usize,
    ) -> Result<Self, BodyError> {
        let mut fields = Fields::of_body(body, limits)?;
        let common = fields.common(false)?;
        let messages = fields.array("messages", limits.messages)?;
        let Some(messages) = messages else {
            return Err(fields.missing("messages", "an array of messages"));
        };
        let mut bytes = Vec::new();
        if let Some(tools) = fields.array("tools", limits.items)?
            && !tools.is_empty()
        {
            for tool in tools {
                push_json(&mut bytes, &tool);
                bytes.push(NEXT);
            }
            bytes.push(END);
        }
        let path = Path::Root.field("messages");
        for (index, message) in messages.into_iter().enumerate() {
            push_message(&mut bytes, message, path.index(index), limits)?;
        }
        bytes.truncate(max_bytes);
        Ok(Self {
            model: common.model,
            salt: common.salt,
            bytes,
        })
    }

    /// The prompt of a `/v1/completions` body, as far as `max_bytes` of it;
    /// `None` unless there is exactly one.
    #[must_use]
    pub fn of_completion(request: CompletionRequest, max_bytes: usize) -> Option<Self> {
        let CompletionRequest { common, prompts } = request;
        let [prompt] = <[CompletionPrompt; 1]>::try_from(prompts).ok()?;
        let mut bytes = match prompt {
            CompletionPrompt::Text(text) => text.into_bytes(),
            CompletionPrompt::Tokens(ids) => ids.iter().flat_map(|id| id.to_le_bytes()).collect(),
        };
        bytes.truncate(max_bytes);
        Some(Self {
            model: common.model,
            salt: common.salt,
            bytes,
        })
    }

    /// A plain text, as far as `max_bytes` of it.
    #[must_use]
    pub fn of_text(text: String, max_bytes: usize) -> Self {
        let mut bytes = text.into_bytes();
        bytes.truncate(max_bytes);
        Self {
            model: None,
            salt: None,
            bytes,
        }
    }

    /// The model (or LoRA adapter) that the body names.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The salt that separates the body's cache entries.
    #[must_use]
    pub fn cache_salt(&self) -> Option<&CacheSalt> {
        self.salt.as_ref()
    }

    /// The prompt, as the module's words have it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn push_message(
    bytes: &mut Vec<u8>,
    message: Value,
    path: Path<'_>,
    limits: &RequestLimits,
) -> Result<(), BodyError> {
    let mut fields = Fields::of(message, path)?;
    let Some(role) = fields.string("role")? else {
        return Err(fields.missing("role", "a string such as \"user\""));
    };
    bytes.extend_from_slice(role.as_bytes());
    bytes.push(OF);
    match fields.take("content") {
        None => {}
        Some(Value::String(text)) => bytes.extend_from_slice(text.as_bytes()),
        Some(Value::Array(parts)) => {
            let parts = within(path.field("content"), parts, limits.items)?;
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    bytes.push(NEXT);
                }
                push_part(bytes, part);
            }
        }
        Some(other) => {
            let allowed = "a string, an array of content parts, or null";
            return Err(wrong_type(path.field("content"), &other, allowed));
        }
    }
    for (name, mark) in FIELDS {
        if let Some(value) = fields.take(name) {
            bytes.extend_from_slice(&[FIELD, mark]);
            push_json(bytes, &value);
        }
    }
    bytes.push(END);
    Ok(())
}

/// Text stands for itself, media for what names them, and anything else for its
/// JSON: what an engine makes of it is not known here.
fn push_part(bytes: &mut Vec<u8>, part: &Value) {
    let text = |name| part.get(name).and_then(Value::as_str);
    if let Some(text) = part.as_str().or_else(|| text("text")) {
        bytes.extend_from_slice(text.as_bytes());
        return;
    }
    let kind = text("type").unwrap_or_default();
    bytes.push(REFERENCE);
    bytes.extend_from_slice(kind.as_bytes());
    bytes.push(OF);
    match text("uuid").or_else(|| locator(part.get(kind)?)) {
        Some(reference) => push_reference(bytes, reference.as_bytes()),
        None => push_reference(bytes, part.to_string().as_bytes()),
    }
}

/// `{"url": …}`, or the URL itself; of sounds `{"data": …}`.
fn locator(media: &Value) -> Option<&str> {
    let of = |name| media.get(name).and_then(Value::as_str);
    media.as_str().or_else(|| of("url")).or_else(|| of("data"))
}

fn push_reference(bytes: &mut Vec<u8>, reference: &[u8]) {
    if reference.len() > REFERENCE_BYTES {
        bytes.extend_from_slice(hex::encode(Sha256::digest(reference)).as_bytes());
    } else {
        bytes.extend_from_slice(reference);
    }
}

/// Without blanks, keys in the body's order.
fn push_json(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        // A text needs no quotes between separators.
        Value::String(text) => bytes.extend_from_slice(text.as_bytes()),
        other => bytes.extend_from_slice(other.to_string().as_bytes()),
    }
}
