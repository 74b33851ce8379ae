//! One chat message, as vLLM reads it before a template sees it.

use serde_json::Value;

use super::fields::{Fields, bad_value, within, wrong_type};
use super::path::Path;
use super::{BodyError, tools};
use crate::json;
use crate::limits::RequestLimits;

/// A message with what may reach the template; vLLM drops all other fields.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) role: String,
    /// Text given as a plain string is one part; absent content is none.
    pub(crate) parts: Vec<Part>,
    /// Only on assistant messages, arguments already objects.
    pub(crate) tool_calls: Option<Vec<Value>>,
    /// Only on assistant messages: `reasoning`, else `reasoning_content`.
    pub(crate) reasoning: Option<Value>,
    /// Only on tool messages; `Some(Null)` if given as null.
    pub(crate) tool_call_id: Option<Value>,
    pub(crate) name: Option<String>,
    pub(crate) task: Option<String>,
    /// Only on developer messages.
    pub(crate) tools: Option<Value>,
}

/// One content part that is not media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    /// The name of a tool whose definition was left out.
    ToolReference(String),
}

impl Message {
    pub(super) fn parse(
        value: Value,
        path: Path<'_>,
        limits: &RequestLimits,
    ) -> Result<Self, BodyError> {
        let mut fields = Fields::of(value, path)?;
        let Some(role) = fields.string("role")? else {
            return Err(fields.missing("role", "a string such as \"user\""));
        };
        let content = fields.take("content");
        let assistant = role == "assistant";
        Ok(Self {
            parts: parse_content(content, path.field("content"), limits)?,
            tool_calls: if assistant {
                tools::calls(&mut fields, limits)?
            } else {
                None
            },
            reasoning: if assistant {
                fields
                    .take("reasoning")
                    .or_else(|| fields.take("reasoning_content"))
            } else {
                None
            },
            tool_call_id: if role == "tool" {
                fields.take("tool_call_id")
            } else {
                None
            },
            name: text_or_nothing(fields.take("name")),
            task: text_or_nothing(fields.take("task")),
            tools: if role == "developer" {
                fields.take("tools")
            } else {
                None
            },
            role,
        })
    }
}

/// vLLM passes a name on only if it is a string, and refuses no other type.
fn text_or_nothing(value: Option<Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn parse_content(
    content: Option<Value>,
    path: Path<'_>,
    limits: &RequestLimits,
) -> Result<Vec<Part>, BodyError> {
    match content {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::Text(text)]),
        Some(Value::Array(parts)) => {
            let mut parsed = Vec::with_capacity(parts.len().min(limits.items));
            for (index, part) in within(path, parts, limits.items)?.into_iter().enumerate() {
                parsed.extend(parse_part(part, path.index(index))?);
            }
            Ok(parsed)
        }
        Some(other) => Err(wrong_type(
            path,
            &other,
            "a string, an array of content parts, or null",
        )),
    }
}

/// Part types whose text stands in the field named second.
const TEXT_PARTS: [(&str, &str); 5] = [
    ("text", "text"),
    ("input_text", "text"),
    ("output_text", "text"),
    ("refusal", "refusal"),
    ("thinking", "thinking"),
];

/// Part types that become a number of tokens only the engine knows.
const MEDIA_PARTS: [&str; 10] = [
    "image_url",
    "input_image",
    "image_pil",
    "image_embeds",
    "audio_url",
    "input_audio",
    "audio_embeds",
    "video_url",
    "video_embeds",
    "prompt_embeds",
];

fn parse_part(part: Value, path: Path<'_>) -> Result<Option<Part>, BodyError> {
    if let Value::String(text) = part {
        return Ok(Some(Part::Text(text)));
    }
    let mut fields = Fields::of(part, path)?;
    let kind = match fields.string("type")? {
        Some(kind) => kind,
        // A media part may leave its type out; its own field tells.
        None => match MEDIA_PARTS.iter().find(|name| fields.has(name)) {
            Some(kind) => (*kind).to_owned(),
            None => return Err(fields.missing("type", "\"text\" or another part type")),
        },
    };
    if let Some((_, field)) = TEXT_PARTS.iter().find(|(name, _)| *name == kind) {
        return Ok(fields.string(field)?.map(Part::Text));
    }
    if kind == "tool_reference" {
        return Ok(fields.string("name")?.map(Part::ToolReference));
    }
    if MEDIA_PARTS.contains(&kind.as_str()) || kind == "image" || kind == "audio" || kind == "video"
    {
        return Err(BodyError::MediaNeedsTokens {
            path: path.to_string(),
            kind,
        });
    }
    Err(bad_value(
        path.field("type"),
        &kind,
        "text, input_text, output_text, refusal, thinking or tool_reference",
    ))
}

/// The JSON of a tool call's arguments as the engine reads it: an object, or an
/// empty one if the text is not an object's JSON.
pub(super) fn arguments_object(text: &str, path: Path<'_>) -> Result<Value, BodyError> {
    match json::parse(text.as_bytes()) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) | Err(json::JsonError::Syntax { .. }) => Ok(Value::Object(serde_json::Map::new())),
        Err(json::JsonError::Integer { .. }) => Err(bad_value(
            path,
            "an integer beyond 64 bits",
            "numbers that 64 bits hold; write others as strings",
        )),
    }
}
