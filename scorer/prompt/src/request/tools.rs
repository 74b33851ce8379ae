//! Tool definitions and tool calls, with the key order that vLLM's own parsing
//! gives them: templates that print a whole object show that order.

use serde_json::{Map, Value};

use super::BodyError;
use super::fields::{Fields, bad_value, wrong_type};
use super::message::arguments_object;
use super::path::Path;
use crate::limits::RequestLimits;

/// An assistant message's tool calls; an empty list counts as none.
pub(super) fn calls(
    fields: &mut Fields<'_>,
    limits: &RequestLimits,
) -> Result<Option<Vec<Value>>, BodyError> {
    let Some(calls) = fields.array("tool_calls", limits.items)? else {
        return Ok(None);
    };
    if calls.is_empty() {
        return Ok(None);
    }
    let message = fields.path();
    let path = message.field("tool_calls");
    let calls = calls
        .into_iter()
        .enumerate()
        .map(|(index, call)| parse_call(call, path.index(index)));
    calls.collect::<Result<_, _>>().map(Some)
}

fn parse_call(call: Value, path: Path<'_>) -> Result<Value, BodyError> {
    let mut fields = Fields::of(call, path)?;
    let kind = fields
        .string("type")?
        .unwrap_or_else(|| "function".to_owned());
    if kind != "function" {
        return Err(bad_value(path.field("type"), &kind, "\"function\""));
    }
    let Some(function) = fields.take("function") else {
        return Err(fields.missing("function", "an object with name and arguments"));
    };
    let mut call = Map::new();
    if let Some(id) = fields.take("id") {
        call.insert("id".to_owned(), id);
    }
    call.insert(
        "function".to_owned(),
        parse_called(function, path.field("function"))?,
    );
    call.insert("type".to_owned(), Value::String(kind));
    Ok(Value::Object(call))
}

fn parse_called(function: Value, path: Path<'_>) -> Result<Value, BodyError> {
    let mut fields = Fields::of(function, path)?;
    let place = path.field("arguments");
    let arguments = match fields.take("arguments") {
        None => Value::Object(Map::new()),
        Some(Value::String(text)) => arguments_object(&text, place)?,
        Some(object @ Value::Object(_)) => object,
        Some(other) => return Err(wrong_type(place, &other, "a string of JSON, or an object")),
    };
    let Some(name) = fields.string("name")? else {
        return Err(fields.missing("name", "the function's name"));
    };
    let mut function = Map::new();
    function.insert("arguments".to_owned(), arguments);
    function.insert("name".to_owned(), Value::String(name));
    Ok(Value::Object(function))
}

/// The request's tools: type first, then the function with name, description
/// and parameters (null if not given), then its further fields in their order.
pub(super) fn definitions(
    fields: &mut Fields<'_>,
    limits: &RequestLimits,
) -> Result<Option<Vec<Value>>, BodyError> {
    let Some(tools) = fields.array("tools", limits.items)? else {
        return Ok(None);
    };
    let body = fields.path();
    let path = body.field("tools");
    let tools = tools
        .into_iter()
        .enumerate()
        .map(|(index, tool)| parse_definition(tool, path.index(index)));
    tools.collect::<Result<_, _>>().map(Some)
}

fn parse_definition(tool: Value, path: Path<'_>) -> Result<Value, BodyError> {
    let mut fields = Fields::of(tool, path)?;
    let kind = fields
        .string("type")?
        .unwrap_or_else(|| "function".to_owned());
    if kind != "function" {
        return Err(bad_value(path.field("type"), &kind, "\"function\""));
    }
    let place = path.field("function");
    let given = match fields.take("function") {
        Some(Value::Object(given)) => given,
        Some(other) => return Err(wrong_type(place, &other, "an object")),
        None => {
            return Err(fields.missing(
                "function",
                "an object with name, description and parameters",
            ));
        }
    };
    let mut tool = Map::new();
    tool.insert("type".to_owned(), Value::String(kind));
    tool.insert(
        "function".to_owned(),
        Value::Object(parse_function(given, place)?),
    );
    Ok(Value::Object(tool))
}

fn parse_function(
    mut given: Map<String, Value>,
    path: Path<'_>,
) -> Result<Map<String, Value>, BodyError> {
    let mut function = Map::new();
    for (name, required, allowed) in [
        ("name", true, "a string"),
        ("description", false, "a string or null"),
        ("parameters", false, "an object or null"),
    ] {
        let value = given.get_mut(name).map_or(Value::Null, Value::take);
        let fits = match name {
            "parameters" => value.is_object(),
            _ => value.is_string(),
        };
        if !fits && (required || !value.is_null()) {
            return Err(wrong_type(path.field(name), &value, allowed));
        }
        function.insert(name.to_owned(), value);
    }
    for (name, value) in given {
        function.entry(name).or_insert(value);
    }
    Ok(function)
}
