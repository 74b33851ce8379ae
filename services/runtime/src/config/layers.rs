//! A tree of settings with other settings laid over it.

use std::collections::BTreeMap;

use serde_yaml_ng::{Mapping, Value};

use super::key_path::{KeyPath, KeyPathError};
use super::mistakes::{Mistakes, Origin};
use super::sources::{MAX_DEPTH, MAX_FILE_BYTES, depth};

/// The file's tree with the other sources laid over it.
pub(super) struct Layers {
    pub(super) tree: Value,
    pub(super) origins: BTreeMap<KeyPath, Origin>,
    pub(super) texts: BTreeMap<KeyPath, String>,
}

impl Layers {
    pub(super) fn new(tree: Value) -> Self {
        let tree = match tree {
            Value::Null => Value::Mapping(Mapping::new()),
            other => other,
        };
        Self {
            tree,
            origins: BTreeMap::new(),
            texts: BTreeMap::new(),
        }
    }

    pub(super) fn lay(
        &mut self,
        path: Result<KeyPath, KeyPathError>,
        origin: Origin,
        text: &str,
        mistakes: &mut Mistakes,
    ) {
        let path = match path {
            Ok(path) => path,
            Err(error) => {
                let want = "section.key, or models.\"a.b\".key".to_owned();
                mistakes.push_from(String::new(), error.to_string(), want, Some(origin));
                return;
            }
        };
        if text.len() as u64 > MAX_FILE_BYTES {
            let saw = "more than 1 MiB".to_owned();
            mistakes.push_from(path.to_string(), saw, "less".to_owned(), Some(origin));
            return;
        }
        match place(&mut self.tree, path.keys()) {
            Some(slot) => *slot = parse_value(text),
            None => {
                let saw = "a setting below one that has none".to_owned();
                let want = "the path of a section".to_owned();
                mistakes.push_from(path.to_string(), saw, want, Some(origin));
                return;
            }
        }
        self.texts.insert(path.clone(), text.to_owned());
        self.origins.insert(path, origin);
    }
}

/// The slot at `keys`, made if it is not there. A list can grow by one.
fn place<'a>(tree: &'a mut Value, keys: &[String]) -> Option<&'a mut Value> {
    let Some((key, below)) = keys.split_first() else {
        return Some(tree);
    };
    if tree.is_null() {
        *tree = Value::Mapping(Mapping::new());
    }
    let slot = match tree {
        Value::Mapping(mapping) => mapping
            .entry(Value::String(key.clone()))
            .or_insert(Value::Null),
        Value::Sequence(list) => {
            let position = key.parse::<usize>().ok()?;
            if position == list.len() {
                list.push(Value::Null);
            }
            list.get_mut(position)?
        }
        _ => return None,
    };
    place(slot, below)
}

/// A value as YAML reads it; what is not YAML, or too deep, is plain text.
fn parse_value(text: &str) -> Value {
    match serde_yaml_ng::from_str(text) {
        Ok(value) if depth(&value) <= MAX_DEPTH => value,
        _ => Value::String(text.to_owned()),
    }
}
