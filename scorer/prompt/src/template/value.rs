//! JSON values as template values.

use minijinja::Value;
use serde_json::Value as Json;

/// Converts by moving: no text is cloned on the way.
pub(crate) fn from_json(json: Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::from(value),
            (None, Some(value)) => Value::from(value),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text),
        Json::Array(values) => values.into_iter().map(from_json).collect(),
        Json::Object(map) => Value::from_pairs(
            map.into_iter()
                .map(|(name, value)| (name, from_json(value))),
        ),
    }
}
