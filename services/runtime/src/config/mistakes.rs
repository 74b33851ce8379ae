//! Everything that is wrong with a configuration, said at once.

use std::fmt;
use std::path::PathBuf;

/// How many mistakes are listed; the rest are counted.
const MAX_LISTED: usize = 50;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file, and the 1-based line where the parser knows it.
    File {
        /// The file as the user named it.
        path: PathBuf,
        /// 1-based line of the key.
        line: Option<usize>,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A `--set` on the command line, by its path as written.
    Override(String),
    /// Nothing was given: the value is a default, or a required one is absent.
    Default,
}

/// One mistake: where, what was seen, what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The setting, `section.key`; empty for the file as a whole.
    pub path: String,
    /// What was seen there. Never a secret: it goes to the terminal.
    pub saw: String,
    /// What would be accepted, or how to mend it.
    pub want: String,
    /// Where the value came from, where that is known.
    pub origin: Option<Origin>,
}

/// Collects mistakes, so that a `validate` can go on after the first.
#[derive(Clone, Debug, Default)]
pub struct Mistakes {
    list: Vec<Mistake>,
}

/// All mistakes of one configuration. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    mistakes: Vec<Mistake>,
}

impl Mistakes {
    /// An empty collection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that the setting at `path` holds `saw` where `want` is needed.
    pub fn push(
        &mut self,
        path: impl Into<String>,
        saw: impl fmt::Display,
        want: impl fmt::Display,
    ) {
        self.push_from(path.into(), saw.to_string(), want.to_string(), None);
    }

    pub(super) fn push_from(
        &mut self,
        path: String,
        saw: String,
        want: String,
        origin: Option<Origin>,
    ) {
        self.list.push(Mistake {
            path,
            saw,
            want,
            origin,
        });
    }

    /// Whether nothing was wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The mistakes in the order in which they were found.
    #[must_use]
    pub fn list(&self) -> &[Mistake] {
        &self.list
    }

    /// Fills in where the values came from.
    pub(super) fn locate(&mut self, origin_of: impl Fn(&str) -> Option<Origin>) {
        for mistake in &mut self.list {
            if mistake.origin.is_none() {
                mistake.origin = origin_of(&mistake.path);
            }
        }
    }

    /// # Errors
    /// All mistakes, if there are any.
    pub fn into_result(self) -> Result<(), ConfigErrors> {
        if self.list.is_empty() {
            return Ok(());
        }
        Err(self.into_errors())
    }

    /// In the order of the file, then of the other sources.
    pub(super) fn into_errors(mut self) -> ConfigErrors {
        self.list.sort_by_key(|mistake| match &mistake.origin {
            Some(Origin::File { line, .. }) => (0, line.unwrap_or(0)),
            Some(Origin::Environment(_)) => (1, 0),
            Some(Origin::Override(_)) => (2, 0),
            Some(Origin::Default) | None => (3, 0),
        });
        ConfigErrors {
            mistakes: self.list,
        }
    }
}

impl ConfigErrors {
    /// The mistakes in the order in which they were found.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mistakes.len() {
            1 => f.write_str("1 mistake in the configuration")?,
            count => write!(f, "{count} mistakes in the configuration")?,
        }
        for mistake in self.mistakes.iter().take(MAX_LISTED) {
            write!(f, "\n  {mistake}")?;
        }
        if self.mistakes.len() > MAX_LISTED {
            write!(f, "\n  and {} more", self.mistakes.len() - MAX_LISTED)?;
        }
        Ok(())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "saw {}, want {}", self.saw, self.want)?;
        match &self.origin {
            Some(origin) => write!(f, " ({origin})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::File {
                path,
                line: Some(line),
            } => write!(f, "{} line {line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Override(path) => write!(f, "command line, {path}"),
            Self::Default => f.write_str("default"),
        }
    }
}
