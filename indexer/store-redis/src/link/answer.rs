//! What scripts answer: a list of texts and numbers, read in order.

use redis::{FromRedisValue, ParsingError, Value};

use crate::error::LinkError;

/// A script's answer, taken apart from the front.
#[derive(Debug)]
pub(crate) struct Answer {
    items: std::vec::IntoIter<Value>,
}

impl FromRedisValue for Answer {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let items = match value {
            Value::Array(items) => items,
            single => vec![single],
        };
        Ok(Self {
            items: items.into_iter(),
        })
    }
}

impl Answer {
    /// The next item as text.
    pub(crate) fn text(&mut self) -> Result<String, LinkError> {
        let value = self.items.next();
        value.as_ref().and_then(text_of).ok_or(LinkError::Form {
            what: "a script's answer",
        })
    }

    /// The next item as a number.
    pub(crate) fn number(&mut self) -> Result<u64, LinkError> {
        let value = self.items.next();
        value.as_ref().and_then(number_of).ok_or(LinkError::Form {
            what: "a number in a script's answer",
        })
    }

    /// The next item as it is; `None` at the end.
    pub(crate) fn value(&mut self) -> Option<Value> {
        self.items.next()
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

fn number_of(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        other => text_of(other)?.parse().ok(),
    }
}

/// The fields of a hash, and their values.
pub(crate) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// A hash as scripts give it: field, value, field, value.
pub(crate) fn flat_pairs(value: Value) -> Result<Fields, LinkError> {
    let form = LinkError::Form { what: "a hash" };
    let Value::Array(items) = value else {
        return Err(form);
    };
    let mut bytes = items.into_iter().map(|item| match item {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    });
    let mut pairs = Vec::with_capacity(bytes.len() / 2);
    while let Some(field) = bytes.next() {
        match (field, bytes.next().flatten()) {
            (Some(field), Some(value)) => pairs.push((field, value)),
            _ => return Err(form),
        }
    }
    Ok(pairs)
}
