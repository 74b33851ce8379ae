//! Reading fields strictly: every field that is asked for is known, and what is
//! left over at the end is a mistake.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::mistake::{Mistake, Origin, quoted};

/// Collects what is wrong in one manifest.
pub(super) struct Report {
    origin: Origin,
    mistakes: RefCell<Vec<Mistake>>,
}

impl Report {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            origin,
            mistakes: RefCell::new(Vec::new()),
        }
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn add(&self, path: &str, reason: impl Into<String>) {
        self.mistakes.borrow_mut().push(Mistake {
            origin: self.origin.clone(),
            path: path.to_owned(),
            reason: reason.into(),
        });
    }

    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes.into_inner()
    }
}

/// A value, and where it stands.
#[derive(Clone)]
pub(super) struct Node<'v> {
    pub(super) value: &'v Value,
    pub(super) path: String,
    report: &'v Report,
}

/// An object whose fields are being read.
pub(super) struct Fields<'v> {
    map: &'v Map<String, Value>,
    path: String,
    report: &'v Report,
    known: Vec<&'static str>,
    refused: Vec<&'static str>,
}

impl<'v> Node<'v> {
    pub(super) fn root(value: &'v Value, report: &'v Report) -> Self {
        Self {
            value,
            path: String::new(),
            report,
        }
    }

    pub(super) fn wrong(&self, reason: impl Into<String>) {
        self.report.add(&self.path, reason);
    }

    /// Says that the value is not what it should be.
    pub(super) fn not(&self, accepted: &str) {
        let seen = match self.value {
            Value::String(text) => quoted(text),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
            other => other.to_string(),
        };
        self.wrong(format!("{seen} is not accepted; accepted: {accepted}"));
    }

    pub(super) fn object(&self) -> Option<Fields<'v>> {
        let Value::Object(map) = self.value else {
            self.not("an object");
            return None;
        };
        Some(Fields {
            map,
            path: self.path.clone(),
            report: self.report,
            known: Vec::new(),
            refused: Vec::new(),
        })
    }

    /// The items of a list that has no more than `most`.
    pub(super) fn items(&self, most: usize) -> Vec<Node<'v>> {
        let Value::Array(items) = self.value else {
            self.not("a list");
            return Vec::new();
        };
        if items.len() > most {
            let count = items.len();
            self.wrong(format!("{count} items; accepted: at most {most}"));
            return Vec::new();
        }
        let item = |(index, value)| Node {
            value,
            path: format!("{}[{index}]", self.path),
            report: self.report,
        };
        items.iter().enumerate().map(item).collect()
    }

    /// A text that is not empty.
    pub(super) fn text(&self) -> Option<&'v str> {
        match self.value.as_str() {
            Some(text) if !text.is_empty() => Some(text),
            Some(_) => {
                self.wrong("empty; accepted: a text");
                None
            }
            None => {
                self.not("a text (put numbers and true/false into quotes)");
                None
            }
        }
    }

    /// A whole number from `least` to `most`.
    pub(super) fn number(&self, least: i64, most: i64) -> Option<i64> {
        let number = self.value.as_i64().filter(|n| (least..=most).contains(n));
        if number.is_none() {
            self.not(&format!("a whole number from {least} to {most}"));
        }
        number
    }

    pub(super) fn port(&self) -> Option<u16> {
        let port = self.number(1, i64::from(u16::MAX))?;
        u16::try_from(port).ok()
    }

    /// One of `accepted`.
    pub(super) fn choice<T: Copy>(&self, accepted: &[(&str, T)]) -> Option<T> {
        let found = self
            .value
            .as_str()
            .and_then(|text| accepted.iter().find(|(name, _)| *name == text));
        if found.is_none() {
            let names: Vec<&str> = accepted.iter().map(|(name, _)| *name).collect();
            self.not(&names.join(", "));
        }
        found.map(|(_, value)| *value)
    }

    /// Labels: texts by name.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        let Value::Object(map) = self.value else {
            self.not("an object of texts");
            return BTreeMap::new();
        };
        let mut labels = BTreeMap::new();
        for (key, value) in map {
            match value {
                Value::String(text) => {
                    labels.insert(key.clone(), text.clone());
                }
                _ => Node {
                    value,
                    path: joined(&self.path, key),
                    report: self.report,
                }
                .not("a text (put numbers and true/false into quotes)"),
            }
        }
        labels
    }
}

impl<'v> Fields<'v> {
    /// A field that may be absent; null means absent.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<Node<'v>> {
        self.known.push(name);
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        Some(Node {
            value,
            path: joined(&self.path, name),
            report: self.report,
        })
    }

    pub(super) fn required(&mut self, name: &'static str) -> Option<Node<'v>> {
        let found = self.optional(name);
        if found.is_none() {
            self.report.add(&joined(&self.path, name), "missing");
        }
        found
    }

    /// A field that is known and that nothing here depends on.
    pub(super) fn skip(&mut self, name: &'static str) {
        self.known.push(name);
    }

    /// A field that is known elsewhere and not supported here.
    pub(super) fn unsupported(&mut self, name: &'static str, reason: &str) {
        self.refused.push(name);
        if self.map.get(name).is_some_and(|value| !value.is_null()) {
            self.report.add(&joined(&self.path, name), reason);
        }
    }

    /// Every field that nobody asked for is a mistake.
    pub(super) fn finish(mut self) {
        self.known.sort_unstable();
        for key in self.map.keys() {
            let key = key.as_str();
            if self.known.contains(&key) || self.refused.contains(&key) {
                continue;
            }
            let accepted = self.known.join(", ");
            let reason = format!("unknown field; accepted: {accepted}");
            self.report.add(&joined(&self.path, key), reason);
        }
    }
}

/// `path.key`, or `path["key"]` where the key would not read as a name.
fn joined(path: &str, key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let is_name = !key.is_empty() && key.chars().all(plain);
    match (path.is_empty(), is_name) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{}]", quoted(key)),
    }
}
