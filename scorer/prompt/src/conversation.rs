//! Messages in the form a template expects.

use minijinja::Value;

use crate::request::{Message, Part};
use crate::template::{ContentFormat, value};

/// What marks the end of the message that the prompt is to continue; the same
/// text that `transformers` uses, as templates that trim content may see it.
pub(crate) const CONTINUE_TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// A message's content as the template sees it.
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// The messages as template values, and the text that the prompt must end with
/// if `continue_final` is set and the last message has a text.
pub(crate) fn build(
    messages: Vec<Message>,
    format: ContentFormat,
    continue_final: bool,
) -> (Vec<Value>, Option<String>) {
    let last = messages.len().wrapping_sub(1);
    let mut final_text = None;
    let values = messages
        .into_iter()
        .enumerate()
        .map(|(index, mut message)| {
            let mut content = content(std::mem::take(&mut message.parts), &message.role, format);
            if continue_final && index == last {
                final_text = tag(&mut content);
            }
            message_value(message, content)
        });
    (values.collect(), final_text)
}

fn content(parts: Vec<Part>, role: &str, format: ContentFormat) -> Content {
    match format {
        ContentFormat::String => Content::Text(join(parts)),
        // Most templates handle no list in tool messages.
        ContentFormat::Parts
            if role == "tool" && parts.iter().all(|part| matches!(part, Part::Text(_))) =>
        {
            Content::Text(join_all(parts))
        }
        ContentFormat::Parts => Content::Parts(parts),
    }
}

/// Non-empty texts on lines of their own; a lone text is moved, not copied.
fn join(parts: Vec<Part>) -> String {
    join_all(
        parts
            .into_iter()
            .filter(|part| !text(part).is_empty())
            .collect(),
    )
}

fn join_all(mut parts: Vec<Part>) -> String {
    match parts.len() {
        1 => parts
            .pop()
            .map(|(Part::Text(text) | Part::ToolReference(text))| text)
            .unwrap_or_default(),
        _ => parts.iter().map(text).collect::<Vec<_>>().join("\n"),
    }
}

fn text(part: &Part) -> &str {
    match part {
        Part::Text(text) | Part::ToolReference(text) => text,
    }
}

/// Appends the tag to the content's last text and returns that text.
fn tag(content: &mut Content) -> Option<String> {
    let text = match content {
        Content::Text(text) => text,
        Content::Parts(parts) => parts.iter_mut().rev().find_map(|part| match part {
            Part::Text(text) => Some(text),
            Part::ToolReference(_) => None,
        })?,
    };
    let before = text.clone();
    text.push_str(CONTINUE_TAG);
    Some(before)
}

fn message_value(message: Message, content: Content) -> Value {
    let mut pairs: Vec<(&str, Value)> = Vec::with_capacity(6);
    pairs.push(("role", Value::from(message.role)));
    pairs.push(("content", content_value(content)));
    if let Some(calls) = message.tool_calls {
        pairs.push((
            "tool_calls",
            calls.into_iter().map(value::from_json).collect(),
        ));
    }
    if let Some(reasoning) = message.reasoning.map(value::from_json) {
        pairs.push(("reasoning", reasoning.clone()));
        pairs.push(("reasoning_content", reasoning));
    }
    if let Some(id) = message.tool_call_id {
        pairs.push(("tool_call_id", value::from_json(id)));
    }
    for (name, text) in [("name", message.name), ("task", message.task)] {
        if let Some(text) = text {
            pairs.push((name, Value::from(text)));
        }
    }
    if let Some(tools) = message.tools {
        pairs.push(("tools", value::from_json(tools)));
    }
    Value::from_pairs(pairs)
}

fn content_value(content: Content) -> Value {
    match content {
        Content::Text(text) => Value::from(text),
        Content::Parts(parts) => parts.into_iter().map(part_value).collect(),
    }
}

fn part_value(part: Part) -> Value {
    match part {
        Part::Text(text) => {
            Value::from_pairs([("type", Value::from("text")), ("text", Value::from(text))])
        }
        Part::ToolReference(name) => Value::from_pairs([
            ("type", Value::from("tool_reference")),
            ("name", Value::from(name)),
        ]),
    }
}
