//! Typed reading of a body's fields, by taking them out of their object.

use serde_json::{Map, Value};

use super::path::Path;
use super::{BodyError, Common, TokenizeOptions, Truncate};
use crate::json;
use crate::limits::RequestLimits;
use proto_model::CacheSalt;

/// An object of the body whose fields are taken out one by one.
pub(super) struct Fields<'a> {
    map: Map<String, Value>,
    path: Path<'a>,
}

impl<'a> Fields<'a> {
    /// The body itself.
    pub(super) fn of_body(
        body: &[u8],
        limits: &RequestLimits,
    ) -> Result<Fields<'static>, BodyError> {
        if body.len() > limits.body_bytes {
            return Err(BodyError::TooLarge {
                bytes: body.len(),
                limit: limits.body_bytes,
            });
        }
        match json::parse(body).map_err(BodyError::Json)? {
            Value::Object(map) => Ok(Fields {
                map,
                path: Path::Root,
            }),
            other => Err(BodyError::WrongType {
                path: "body".to_owned(),
                found: json::kind(&other),
                allowed: "a JSON object",
            }),
        }
    }

    pub(super) fn of(value: Value, path: Path<'a>) -> Result<Self, BodyError> {
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            other => Err(wrong_type(path, &other, "an object")),
        }
    }

    pub(super) fn path(&self) -> Path<'a> {
        self.path
    }

    /// The field's value; a null counts as absent.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map
            .get_mut(name)
            .map(Value::take)
            .filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    pub(super) fn missing(&self, name: &str, allowed: &'static str) -> BodyError {
        BodyError::Missing {
            path: self.path.field(name).to_string(),
            allowed,
        }
    }

    pub(super) fn bool(&mut self, name: &str) -> Result<Option<bool>, BodyError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(wrong_type(self.path.field(name), &other, "a boolean")),
        }
    }

    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, BodyError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(value)) => Ok(Some(value)),
            Some(other) => Err(wrong_type(self.path.field(name), &other, "a string")),
        }
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, BodyError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(value)) => Ok(Some(value)),
            Some(other) => Err(wrong_type(self.path.field(name), &other, "an object")),
        }
    }

    pub(super) fn array(
        &mut self,
        name: &str,
        limit: usize,
    ) -> Result<Option<Vec<Value>>, BodyError> {
        let path = self.path.field(name);
        match self.map.get_mut(name).map(Value::take) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(values)) => within(path, values, limit).map(Some),
            Some(other) => Err(wrong_type(path, &other, "an array")),
        }
    }

    fn count(&mut self, name: &str) -> Result<Option<usize>, BodyError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        match value.as_u64().and_then(|value| usize::try_from(value).ok()) {
            Some(count) => Ok(Some(count)),
            None => Err(bad_number(
                self.path.field(name),
                &value,
                "an integer from 0",
            )),
        }
    }

    /// The fields that chat and completion bodies share.
    pub(super) fn common(&mut self, add_special_tokens: bool) -> Result<Common, BodyError> {
        Ok(Common {
            model: self.string("model")?,
            salt: self.salt()?,
            tokenize: TokenizeOptions {
                add_special_tokens: self
                    .bool("add_special_tokens")?
                    .unwrap_or(add_special_tokens),
                truncate: self.truncate()?,
                truncate_right: self.truncate_right()?,
            },
        })
    }

    fn salt(&mut self) -> Result<Option<CacheSalt>, BodyError> {
        match self.string("cache_salt")? {
            Some(salt) if salt.is_empty() => Err(BodyError::BadValue {
                path: "cache_salt".to_owned(),
                found: "an empty string".to_owned(),
                allowed: "a string of at least one character, or null",
            }),
            salt => Ok(salt.map(CacheSalt::new)),
        }
    }

    fn truncate(&mut self) -> Result<Option<Truncate>, BodyError> {
        let output_tokens = match self.count("max_completion_tokens")? {
            Some(count) => count,
            None => self.count("max_tokens")?.unwrap_or(0),
        };
        let name = "truncate_prompt_tokens";
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        match value.as_i64() {
            Some(-1) => Ok(Some(Truncate::ToContext { output_tokens })),
            Some(count) if count >= 0 => Ok(Some(Truncate::To(
                usize::try_from(count).unwrap_or(usize::MAX),
            ))),
            _ => Err(bad_number(
                self.path.field(name),
                &value,
                "-1 (what the context leaves) or an integer from 0",
            )),
        }
    }

    fn truncate_right(&mut self) -> Result<bool, BodyError> {
        match self.string("truncation_side")?.as_deref() {
            None | Some("left") => Ok(false),
            Some("right") => Ok(true),
            Some(other) => Err(bad_value(
                self.path.field("truncation_side"),
                other,
                "\"left\" or \"right\"",
            )),
        }
    }
}

pub(super) fn within(
    path: Path<'_>,
    values: Vec<Value>,
    limit: usize,
) -> Result<Vec<Value>, BodyError> {
    if values.len() > limit {
        return Err(BodyError::TooMany {
            path: path.to_string(),
            count: values.len(),
            limit,
        });
    }
    Ok(values)
}

pub(super) fn wrong_type(path: Path<'_>, found: &Value, allowed: &'static str) -> BodyError {
    BodyError::WrongType {
        path: path.to_string(),
        found: json::kind(found),
        allowed,
    }
}

pub(super) fn bad_value(path: Path<'_>, found: &str, allowed: &'static str) -> BodyError {
    let shown: String = found.chars().take(64).collect();
    BodyError::BadValue {
        path: path.to_string(),
        found: format!("{shown:?}"),
        allowed,
    }
}

/// A number out of range, or something that is no number at all.
pub(super) fn bad_number(path: Path<'_>, found: &Value, allowed: &'static str) -> BodyError {
    match found {
        Value::Number(number) => BodyError::BadValue {
            path: path.to_string(),
            found: number.to_string(),
            allowed,
        },
        other => wrong_type(path, other, allowed),
    }
}
