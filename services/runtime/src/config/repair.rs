//! Reads a tree to its end, however much of it is wrong.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_yaml_ng::Value;

use super::key_path::KeyPath;
use super::mistakes::Mistakes;
use super::read_error::{ReadError, ReadErrorKind};
use super::reader::{Known, Pass, Reader};

/// After so many wrong values a file is no configuration of ours.
const MAX_REPAIRS: usize = 200;

/// The value, as far as one can be made, with wrong settings at their
/// defaults. Everything wrong is in `mistakes`.
pub(super) fn read_all<T: DeserializeOwned>(
    tree: &Value,
    defaults: &Value,
    texts: &BTreeMap<KeyPath, String>,
    mistakes: &mut Mistakes,
) -> Option<T> {
    let mut repair = Repair {
        skip: BTreeMap::new(),
        unknown: BTreeMap::new(),
        mistakes,
    };
    let mut read = None;
    for _ in 0..MAX_REPAIRS {
        let pass = Pass {
            skip: &repair.skip,
            texts,
            unknown: RefCell::new(BTreeMap::new()),
        };
        let result = T::deserialize(Reader::new(tree, KeyPath::root(), &pass));
        let unknown = pass.unknown.into_inner();
        repair.unknown.extend(unknown);
        match result {
            Ok(value) => {
                read = Some(value);
                break;
            }
            Err(error) => {
                if !repair.skip_cause(tree, error) {
                    break;
                }
            }
        }
    }
    repair.report_unknown(defaults);
    read
}

struct Repair<'a> {
    /// What to read as absent, and whether that has been reported already.
    skip: BTreeMap<KeyPath, bool>,
    unknown: BTreeMap<KeyPath, Known>,
    mistakes: &'a mut Mistakes,
}

impl Repair<'_> {
    /// Reports `error` and marks its cause to be skipped by the next pass.
    /// `false` if there is nothing left to skip.
    fn skip_cause(&mut self, tree: &Value, error: ReadError) -> bool {
        let place = error.place();
        let (saw, want) = match error.kind {
            ReadErrorKind::Unfit { saw, want } => (saw, want),
            ReadErrorKind::Refused(want) => (shown(value_at(tree, &place)), want),
            ReadErrorKind::Unknown { known, .. } => {
                self.unknown.insert(place.clone(), known);
                return self.skip.insert(place, true).is_none();
            }
            ReadErrorKind::Missing(_) => return self.skip_incomplete(&place),
        };
        if place.keys().is_empty() {
            self.report(&place, saw, want);
            return false;
        }
        // `key:` with nothing after it means that the key is not given.
        let given = !matches!(value_at(tree, &place), None | Some(Value::Null));
        if given {
            self.report(&place, saw, want);
        }
        self.skip.insert(place, given).is_none()
    }

    /// A section lacks `place`, a key that has no default: skip the section.
    fn skip_incomplete(&mut self, place: &KeyPath) -> bool {
        if self.skip.get(place) != Some(&true) {
            self.report(
                place,
                "nothing".to_owned(),
                "a value: it has no default".to_owned(),
            );
            self.skip.insert(place.clone(), true);
        }
        match place.parent() {
            Some(section) => self.skip.insert(section, true).is_none(),
            None => false,
        }
    }

    fn report(&mut self, place: &KeyPath, saw: String, want: String) {
        self.mistakes.push_from(place.to_string(), saw, want, None);
    }

    fn report_unknown(&mut self, defaults: &Value) {
        for (place, known) in std::mem::take(&mut self.unknown) {
            let key = place.keys().last().map_or("", String::as_str);
            let want = match (nearest(key, known), elsewhere(key, defaults)) {
                (Some(meant), _) => format!("{meant} (the nearest known key)"),
                (None, Some(other)) => format!("{other} (the same key, where it is known)"),
                (None, None) if known.is_empty() => "no keys here".to_owned(),
                (None, None) => format!("one of {}", known.join(", ")),
            };
            self.report(&place, "an unknown key".to_owned(), want);
        }
    }
}

/// The known key that `key` is probably a slip of.
fn nearest(key: &str, known: Known) -> Option<&'static str> {
    let folded = key.to_lowercase().replace('-', "_");
    let allowed = (folded.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&folded, name), *name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The only other place where the configuration has a key of this name.
fn elsewhere(key: &str, defaults: &Value) -> Option<KeyPath> {
    let mut found = Vec::new();
    collect_places(key, defaults, &KeyPath::root(), &mut found);
    if found.len() == 1 { found.pop() } else { None }
}

fn collect_places(key: &str, section: &Value, at: &KeyPath, found: &mut Vec<KeyPath>) {
    for (name, value) in section.as_mapping().into_iter().flatten() {
        let Some(name) = name.as_str() else { continue };
        let path = at.child(name);
        collect_places(key, value, &path, found);
        if name == key {
            found.push(path);
        }
    }
}

/// What stands at `path` in the tree.
pub(super) fn value_at<'a>(tree: &'a Value, path: &KeyPath) -> Option<&'a Value> {
    path.keys().iter().try_fold(tree, |value, key| match value {
        Value::Sequence(list) => key.parse::<usize>().ok().and_then(|at| list.get(at)),
        Value::Mapping(mapping) => mapping
            .iter()
            .find(|(name, _)| super::reader::key_text(name).as_deref() == Some(key))
            .map(|(_, value)| value),
        _ => None,
    })
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "nothing".to_owned(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => format!("{:?}", text.chars().take(60).collect::<String>()),
        Some(Value::Sequence(_)) => "a list".to_owned(),
        Some(Value::Mapping(_)) => "a section".to_owned(),
        Some(Value::Tagged(tagged)) => format!("the tag {}", tagged.tag),
    }
}
