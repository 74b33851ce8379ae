//! The place of one setting: `scorer.http.listen`, `models."org/m-2.5".block_size`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::sources::MAX_DEPTH;

/// A path of keys from the root of the configuration. Elements of a list are
/// numbers. Keys that contain a dot are written in double quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPath(Vec<String>);

/// Why a text is not a [`KeyPath`].
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeyPathError {
    /// Nothing between two dots, or nothing at all.
    #[error("an empty key")]
    EmptyKey,
    /// A quote that is never closed.
    #[error("a quote without its end")]
    OpenQuote,
    /// More keys than any configuration has.
    #[error("more than {MAX_DEPTH} keys deep")]
    TooDeep,
}

impl KeyPath {
    /// The path that names nothing: the configuration as a whole.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The path of `key` below this one.
    #[must_use]
    pub fn child(&self, key: impl Into<String>) -> Self {
        let mut keys = self.0.clone();
        keys.push(key.into());
        Self(keys)
    }

    /// The keys from the root down.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.0
    }

    /// The path of the section that holds this; `None` at the root.
    pub(super) fn parent(&self) -> Option<Self> {
        let (_, above) = self.0.split_last()?;
        if above.is_empty() {
            return None;
        }
        Some(Self(above.to_vec()))
    }

    /// All paths from this one up to, but without, the root.
    pub(super) fn with_ancestors(&self) -> impl Iterator<Item = Self> + '_ {
        (1..=self.0.len())
            .rev()
            .map(|length| Self(self.0[..length].to_vec()))
    }

    pub(super) fn checked(keys: Vec<String>) -> Result<Self, KeyPathError> {
        if keys.is_empty() || keys.iter().any(String::is_empty) {
            return Err(KeyPathError::EmptyKey);
        }
        if keys.len() > MAX_DEPTH {
            return Err(KeyPathError::TooDeep);
        }
        Ok(Self(keys))
    }
}

impl FromStr for KeyPath {
    type Err = KeyPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut keys = vec![String::new()];
        let mut quoted = false;
        for character in text.chars() {
            match character {
                '"' => quoted = !quoted,
                '.' if !quoted => keys.push(String::new()),
                other => {
                    if let Some(key) = keys.last_mut() {
                        key.push(other);
                    }
                }
            }
        }
        if quoted {
            return Err(KeyPathError::OpenQuote);
        }
        Self::checked(keys)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, key) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(".")?;
            }
            if key.contains('.') || key.is_empty() {
                write!(f, "\"{key}\"")?;
            } else {
                f.write_str(key)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_protect_dots_and_survive_a_round_trip() {
        let path: KeyPath = "models.\"org/m-2.5\".block_size".parse().unwrap();
        assert_eq!(path.keys(), ["models", "org/m-2.5", "block_size"]);
        assert_eq!(path.to_string(), "models.\"org/m-2.5\".block_size");
    }

    #[test]
    fn broken_paths_are_named() {
        assert_eq!("a..b".parse::<KeyPath>(), Err(KeyPathError::EmptyKey));
        assert_eq!("".parse::<KeyPath>(), Err(KeyPathError::EmptyKey));
        assert_eq!("a.\"b".parse::<KeyPath>(), Err(KeyPathError::OpenQuote));
        let deep = vec!["a"; MAX_DEPTH + 1].join(".");
        assert_eq!(deep.parse::<KeyPath>(), Err(KeyPathError::TooDeep));
    }
}
