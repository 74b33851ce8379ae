//! Reads a YAML tree into a serde type, and knows at every moment where it is.
//!
//! Unknown keys are noted and skipped instead of ending the reading; every
//! error carries its path.

mod alternatives;

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::de::value::SeqDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;
use serde_yaml_ng::Value;

use super::key_path::KeyPath;
use super::read_error::ReadError;
use alternatives::Variant;

/// The names that a struct has, as serde's derive lists them.
pub(super) type Known = &'static [&'static str];

/// What one pass over the tree shares.
pub(super) struct Pass<'a> {
    /// Places to read as if nothing stood there.
    pub(super) skip: &'a BTreeMap<KeyPath, bool>,
    /// The texts of values from the environment and the command line.
    pub(super) texts: &'a BTreeMap<KeyPath, String>,
    /// Keys that no struct has, with the keys that it has.
    pub(super) unknown: RefCell<BTreeMap<KeyPath, Known>>,
}

/// One place in the tree.
pub(super) struct Reader<'a> {
    value: &'a Value,
    path: KeyPath,
    pass: &'a Pass<'a>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(value: &'a Value, path: KeyPath, pass: &'a Pass<'a>) -> Self {
        Self { value, path, pass }
    }

    fn child(&self, key: &str, value: &'a Value) -> Self {
        Self::new(value, self.path.child(key), self.pass)
    }

    /// The text as typed, where the value did not come from the file.
    fn typed_text(&self) -> Option<&'a str> {
        self.pass.texts.get(&self.path).map(String::as_str)
    }

    fn entries(&self, known: Option<Known>) -> Result<Entries<'a>, ReadError> {
        let mapping = match self.value {
            Value::Mapping(mapping) => Some(mapping),
            // A section whose keys are all commented out.
            Value::Null => None,
            other => return Err(ReadError::invalid_type(unexpected(other), &"a section")),
        };
        let mut list = Vec::new();
        for (key, value) in mapping.into_iter().flatten() {
            let Some(key) = key_text(key) else {
                return Err(ReadError::custom("plain keys: text or numbers"));
            };
            let path = self.path.child(key.as_str());
            if self.pass.skip.contains_key(&path) {
                continue;
            }
            match known {
                Some(known) if !known.contains(&key.as_str()) => {
                    self.pass.unknown.borrow_mut().insert(path, known);
                }
                _ => list.push((key, Reader::new(value, path, self.pass))),
            }
        }
        Ok(Entries {
            rest: list.into_iter(),
            value: None,
        })
    }

    fn any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => visitor.visit_u64(value),
                (_, Some(value), _) => visitor.visit_i64(value),
                (_, _, Some(value)) => visitor.visit_f64(value),
                _ => Err(ReadError::custom("a number that fits 64 bits")),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Sequence(list) => visitor.visit_seq(Elements {
                rest: list.iter().enumerate(),
                of: self,
            }),
            Value::Mapping(_) => visitor.visit_map(self.entries(None)?),
            Value::Tagged(_) => Err(ReadError::custom("a value without a !tag")),
        }
    }

    fn seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match (self.value, self.typed_text()) {
            // `--set section.list=a,b`, where YAML would need brackets.
            (Value::String(_), Some(typed)) => {
                visitor.visit_seq(SeqDeserializer::new(typed.split(',').map(str::trim)))
            }
            _ => self.any(visitor),
        }
    }

    fn text<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match (self.value, self.typed_text()) {
            // A variable has no type: 1.10 given for a text is that text.
            (Value::Number(_) | Value::Bool(_) | Value::Null, Some(typed)) => {
                visitor.visit_borrowed_str(typed)
            }
            _ => self.any(visitor),
        }
    }

    fn variant<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Value::String(name) => visitor.visit_enum(Variant {
                name: name.clone(),
                content: None,
            }),
            Value::Mapping(mapping) if mapping.len() == 1 => {
                let only = mapping.iter().next();
                let Some((Value::String(name), value)) = only else {
                    return Err(ReadError::custom("the name of one alternative"));
                };
                visitor.visit_enum(Variant {
                    name: name.clone(),
                    content: Some(self.child(name, value)),
                })
            }
            Value::Tagged(tagged) => {
                let name = tagged.tag.to_string();
                let name = name.trim_start_matches('!').to_owned();
                let content = Some(self.child(&name, &tagged.value));
                visitor.visit_enum(Variant { name, content })
            }
            other => Err(ReadError::invalid_type(
                unexpected(other),
                &"the name of one alternative",
            )),
        }
    }
}

/// Adds the path to whatever goes wrong below it.
macro_rules! located {
    ($self:ident, $result:expr) => {{
        let path = $self.path.clone();
        $result.map_err(|error: ReadError| error.at(path))
    }};
}

impl<'a> Deserializer<'a> for Reader<'a> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        located!(self, self.any(visitor))
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.value.is_null() {
            return visitor.visit_none();
        }
        located!(self, visitor.visit_some(self))
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        located!(self, visitor.visit_newtype_struct(self))
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        fields: Known,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let read = self
            .entries(Some(fields))
            .and_then(|entries| visitor.visit_map(entries));
        located!(self, read)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _name: &'static str,
        _variants: Known,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        located!(self, self.variant(visitor))
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        located!(self, self.text(visitor))
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        located!(self, self.text(visitor))
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        located!(self, self.seq(visitor))
    }

    forward_to_deserialize_any! { <W: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf
        unit unit_struct tuple tuple_struct map identifier ignored_any
    }
}

struct Entries<'a> {
    rest: std::vec::IntoIter<(String, Reader<'a>)>,
    value: Option<Reader<'a>>,
}

impl<'a> MapAccess<'a> for Entries<'a> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        let path = value.path.clone();
        self.value = Some(value);
        seed.deserialize(key.into_deserializer())
            .map(Some)
            .map_err(|error: ReadError| error.at(path))
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        match self.value.take() {
            Some(value) => seed.deserialize(value),
            None => Err(ReadError::custom("a key before its value")),
        }
    }
}

struct Elements<'a> {
    rest: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
    of: Reader<'a>,
}

impl<'a> SeqAccess<'a> for Elements<'a> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        for (position, value) in self.rest.by_ref() {
            let element = self.of.child(&position.to_string(), value);
            if !self.of.pass.skip.contains_key(&element.path) {
                return seed.deserialize(element).map(Some);
            }
        }
        Ok(None)
    }
}

/// The text of a key; `None` for a key that is itself a list or a section.
pub(super) fn key_text(key: &Value) -> Option<String> {
    match key {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(value) => Unexpected::Bool(*value),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(value), _, _) => Unexpected::Unsigned(value),
            (_, Some(value), _) => Unexpected::Signed(value),
            (_, _, Some(value)) => Unexpected::Float(value),
            _ => Unexpected::Other("a number"),
        },
        Value::String(text) => Unexpected::Str(text),
        Value::Sequence(_) => Unexpected::Seq,
        Value::Mapping(_) => Unexpected::Map,
        Value::Tagged(_) => Unexpected::Other("a !tag"),
    }
}
