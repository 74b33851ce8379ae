//! One thing that does not fit while a tree is read.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::key_path::KeyPath;

/// The longest piece of a value that a message repeats.
const MAX_SHOWN_CHARS: usize = 60;

/// Where reading stopped, and why.
#[derive(Debug)]
pub(super) struct ReadError {
    path: Option<KeyPath>,
    pub(super) kind: ReadErrorKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadErrorKind {
    /// A value that does not fit the type.
    Unfit { saw: String, want: String },
    /// A value that a type refused in its own words.
    Refused(String),
    /// A key that a type refused itself (`deny_unknown_fields`).
    Unknown {
        field: String,
        known: &'static [&'static str],
    },
    /// A key without a default is absent.
    Missing(&'static str),
}

impl ReadError {
    /// Says where; the innermost place, which comes first, stays.
    pub(super) fn at(mut self, path: KeyPath) -> Self {
        self.path.get_or_insert(path);
        self
    }

    /// The setting that is wrong, or absent.
    pub(super) fn place(&self) -> KeyPath {
        let path = self.path.clone().unwrap_or_default();
        match &self.kind {
            ReadErrorKind::Unknown { field, .. } => path.child(field.as_str()),
            ReadErrorKind::Missing(field) => path.child(*field),
            ReadErrorKind::Unfit { .. } | ReadErrorKind::Refused(_) => path,
        }
    }
}

impl From<ReadErrorKind> for ReadError {
    fn from(kind: ReadErrorKind) -> Self {
        Self { path: None, kind }
    }
}

impl std::error::Error for ReadError {}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.place(), self.kind)
    }
}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        ReadErrorKind::Refused(message.to_string()).into()
    }

    fn invalid_type(saw: Unexpected<'_>, want: &dyn Expected) -> Self {
        Self::invalid_value(saw, want)
    }

    fn invalid_value(saw: Unexpected<'_>, want: &dyn Expected) -> Self {
        ReadErrorKind::Unfit {
            saw: describe(saw),
            want: in_words(&want.to_string()),
        }
        .into()
    }

    fn invalid_length(length: usize, want: &dyn Expected) -> Self {
        ReadErrorKind::Unfit {
            saw: format!("{length} elements"),
            want: want.to_string(),
        }
        .into()
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        ReadErrorKind::Unfit {
            saw: quoted(variant),
            want: match known {
                [only] => (*only).to_owned(),
                many => format!("one of {}", many.join(", ")),
            },
        }
        .into()
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        ReadErrorKind::Unknown {
            field: field.to_owned(),
            known,
        }
        .into()
    }

    fn missing_field(field: &'static str) -> Self {
        ReadErrorKind::Missing(field).into()
    }
}

fn describe(saw: Unexpected<'_>) -> String {
    match saw {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Str(text) => quoted(text),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a section".to_owned(),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    if text.chars().count() <= MAX_SHOWN_CHARS {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(MAX_SHOWN_CHARS).collect();
    format!("{start:?}...")
}

/// serde names Rust's types; an operator thinks in ranges.
fn in_words(want: &str) -> String {
    let words = match want {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" => "text",
        "a sequence" => "a list",
        "a map" => "a section",
        "a nonzero u16" | "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => {
            "a whole number, 1 or more"
        }
        other if other.starts_with("struct ") => "a section with keys",
        other => other,
    };
    words.to_owned()
}
