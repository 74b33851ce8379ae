//! From text to values, with a bound on what one document can grow into.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Values in one document, after its aliases are resolved.
const DOCUMENT_NODES: usize = 200_000;
/// Bytes of text in one document, after its aliases are resolved.
const DOCUMENT_BYTES: usize = 8 << 20;
/// Documents in one file.
const DOCUMENTS: usize = 10_000;
/// Brackets that are open at one place. The reader's time grows with the square
/// of that.
const OPEN_BRACKETS: usize = 1_000;

/// One document of a file.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its position in the file, from 1.
    pub(crate) number: usize,
    /// What it says, or why it cannot be read. After the first that cannot be
    /// read there are no more: nobody knows where the next would begin.
    pub(crate) content: Result<Value, String>,
}

/// The documents of a YAML or JSON text; empty ones are left out.
pub(crate) fn documents(text: &str) -> Vec<Document> {
    if opens_too_many(text) {
        let reason = format!("more than {OPEN_BRACKETS} brackets are open at one place");
        return vec![Document {
            number: 1,
            content: Err(reason),
        }];
    }
    let mut found = Vec::new();
    for (index, yaml) in serde_yaml_ng::Deserializer::from_str(text).enumerate() {
        let number = index + 1;
        if number > DOCUMENTS {
            let reason = format!("more than {DOCUMENTS} documents in one file; split the file");
            found.push(Document {
                number,
                content: Err(reason),
            });
            break;
        }
        let budget = Budget::default();
        match (Bounded { budget: &budget }).deserialize(yaml) {
            Ok(Value::Null) => {}
            Ok(value) => found.push(Document {
                number,
                content: Ok(value),
            }),
            Err(error) => {
                found.push(Document {
                    number,
                    content: Err(error.to_string()),
                });
                break;
            }
        }
    }
    found
}

/// Counts brackets wherever they stand: nobody has that many in texts either.
fn opens_too_many(text: &str) -> bool {
    let mut open = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > OPEN_BRACKETS {
            return true;
        }
    }
    false
}

/// What a document may still grow by.
struct Budget {
    nodes: Cell<usize>,
    bytes: Cell<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            nodes: Cell::new(DOCUMENT_NODES),
            bytes: Cell::new(DOCUMENT_BYTES),
        }
    }
}

impl Budget {
    fn spend<E: Error>(&self, bytes: usize) -> Result<(), E> {
        let (Some(nodes), Some(bytes)) = (
            self.nodes.get().checked_sub(1),
            self.bytes.get().checked_sub(bytes),
        ) else {
            return Err(E::custom(format_args!(
                "the document has more than {DOCUMENT_NODES} values or {DOCUMENT_BYTES} bytes of \
                 text (aliases count each time); split it"
            )));
        };
        self.nodes.set(nodes);
        self.bytes.set(bytes);
        Ok(())
    }
}

/// Reads one value within the budget, refusing a key that comes twice.
#[derive(Clone, Copy)]
struct Bounded<'b> {
    budget: &'b Budget,
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON knows, without tags")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.budget.spend(0)?;
        let number = Number::from_f64(value)
            .ok_or_else(|| E::custom("a number that is infinite or not a number"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.budget.spend(value.len())?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.budget.spend(0)?;
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.budget.spend(0)?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.budget.spend(0)?;
        let mut values = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.budget.spend(key.len())?;
            if values.contains_key(&key) {
                let key = super::mistake::quoted(&key);
                return Err(A::Error::custom(format_args!("the key {key} comes twice")));
            }
            values.insert(key, entries.next_value_seed(self)?);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_error(text: &str) -> String {
        let found = documents(text);
        let last = found.last().expect("one document");
        last.content.clone().expect_err("a mistake")
    }

    #[test]
    fn documents_are_numbered_and_empty_ones_left_out() {
        let found = documents("---\n# nothing\n---\na: 1\n---\n{\"b\": [true, null, 2.5]}\n");
        let seen: Vec<(usize, String)> = found
            .into_iter()
            .map(|document| (document.number, document.content.expect("fine").to_string()))
            .collect();
        assert_eq!(
            seen,
            [
                (2, r#"{"a":1}"#.to_owned()),
                (3, r#"{"b":[true,null,2.5]}"#.to_owned()),
            ]
        );
    }

    #[test]
    fn a_key_that_comes_twice_is_refused() {
        assert!(only_error("a: 1\na: 2\n").contains("\"a\" comes twice"));
    }

    #[test]
    fn aliases_count_each_time() {
        let mut text = String::from("a: &a [");
        text.push_str(&"x,".repeat(5_000));
        text.push_str("]\nb: [");
        text.push_str(&"*a,".repeat(5_000));
        text.push_str("]\n");
        assert!(only_error(&text).contains("aliases count each time"));
    }

    #[test]
    fn deep_nesting_tags_and_broken_text_are_told() {
        assert!(only_error(&"[".repeat(4 << 20)).contains("brackets"));
        assert!(!only_error(&"[".repeat(900)).is_empty());
        assert!(!only_error(&"- ".repeat(100_000)).is_empty());
        assert!(!only_error("a: !secret x").is_empty());
        assert!(!only_error("a: .nan").is_empty());
        assert!(only_error("a: [1, 2\nb: 3").contains("line"));
    }
}
