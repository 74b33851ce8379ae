use std::fmt;
use std::path::PathBuf;

/// Mistakes that are told in full; of the rest only the number.
const MISTAKES_TOLD: usize = 100;
/// Bytes of a manifest's text that a mistake repeats.
const QUOTED_BYTES: usize = 60;

/// One thing that is wrong in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mistake {
    /// Which manifest.
    pub origin: Origin,
    /// The field, as a JSON path from the manifest's root; empty: all of it.
    pub path: String,
    /// What is wrong, and what is accepted.
    pub reason: String,
}

/// Where a manifest comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// A file, or a folder that should hold files.
    File {
        /// Its path as it was given, or the folder's and the file's name.
        path: PathBuf,
        /// Which of the file's documents, from 1; 0 means the file.
        document: usize,
    },
    /// An object of a Kubernetes API server.
    Object {
        /// Its kind.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// What the process was started with.
    Settings,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, document: 0 } => write!(f, "{}", path.display()),
            Self::File { path, document } => {
                write!(f, "{}, document {document}", path.display())
            }
            Self::Object {
                kind,
                namespace,
                name,
            } => write!(f, "{kind} {namespace}/{name}"),
            Self::Settings => f.write_str("settings"),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "{}: {}", self.origin, self.reason)
        } else {
            write!(f, "{}: {}: {}", self.origin, self.path, self.reason)
        }
    }
}

/// Everything that is wrong in a set of manifests; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes {
    told: Vec<Mistake>,
    untold: usize,
}

impl Mistakes {
    /// `None` if there are none.
    pub(crate) fn of(mut mistakes: Vec<Mistake>) -> Option<Self> {
        if mistakes.is_empty() {
            return None;
        }
        let untold = mistakes.len().saturating_sub(MISTAKES_TOLD);
        mistakes.truncate(MISTAKES_TOLD);
        Some(Self {
            told: mistakes,
            untold,
        })
    }

    /// Nothing else is wrong, and yet there is no pool.
    pub(crate) fn no_pool() -> Self {
        Self::one(Mistake {
            origin: Origin::Settings,
            path: "pool".to_owned(),
            reason: "no InferencePool in the manifests".to_owned(),
        })
    }

    pub(crate) fn one(mistake: Mistake) -> Self {
        Self {
            told: vec![mistake],
            untold: 0,
        }
    }

    /// Of a list that says why there is nothing to read.
    pub(crate) fn some(mistakes: Vec<Mistake>) -> Self {
        Self::of(mistakes).unwrap_or_else(Self::no_pool)
    }

    /// `value`, if nothing is wrong.
    pub(crate) fn unless_any<T>(mistakes: Vec<Mistake>, value: T) -> Result<T, Self> {
        match Self::of(mistakes) {
            Some(mistakes) => Err(mistakes),
            None => Ok(value),
        }
    }

    /// The mistakes, in the order of the manifests; the first hundred.
    #[must_use]
    pub fn told(&self) -> &[Mistake] {
        &self.told
    }

    /// How many there are in all.
    #[must_use]
    pub fn count(&self) -> usize {
        self.told.len().saturating_add(self.untold)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, mistake) in self.told.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        if self.untold > 0 {
            write!(f, "\nand {} more", self.untold)?;
        }
        Ok(())
    }
}

/// A manifest's own text in quotes, cut if it is long.
pub(super) fn quoted(text: &str) -> String {
    if text.len() <= QUOTED_BYTES {
        return format!("{text:?}");
    }
    let mut end = QUOTED_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{:?}...", &text[..end])
}
