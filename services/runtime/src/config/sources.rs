//! The three sources of settings, laid over each other.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_yaml_ng::Value;

use super::key_path::KeyPath;
use super::layers::Layers;
use super::lines::line_of;
use super::mistakes::{ConfigErrors, Mistakes, Origin};
use super::repair::{read_all, value_at};

/// The largest configuration file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;
/// The deepest nesting of sections and lists.
pub const MAX_DEPTH: usize = 16;
/// What the names of environment variables begin with.
pub const ENV_PREFIX: &str = "KVATLAS__";

/// Where settings come from. Later sources win: file, environment, overrides.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    file: Option<PathBuf>,
    environment: Vec<(String, KeyNames, String)>,
    overrides: Vec<(String, String)>,
}

/// The keys that a variable's name stands for.
type KeyNames = Vec<String>;

/// Reads a configuration from a file, this process's environment and the
/// command line's `section.key`, `value` pairs.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load<T: DeserializeOwned + Serialize + Default>(
    yaml_path: Option<&Path>,
    env_prefix: &str,
    overrides: Vec<(String, String)>,
) -> Result<T, ConfigErrors> {
    Sources::new(yaml_path, overrides)
        .with_process_environment(env_prefix)
        .load()
}

/// The settings as YAML that [`load`] reads back.
///
/// # Errors
/// If the type cannot be written as YAML.
pub fn to_yaml<T: Serialize>(settings: &T) -> Result<String, serde_yaml_ng::Error> {
    serde_yaml_ng::to_string(settings)
}

impl Sources {
    /// A file, if any, and `section.key`, `value` pairs of the command line.
    #[must_use]
    pub fn new(yaml_path: Option<&Path>, overrides: Vec<(String, String)>) -> Self {
        Self {
            file: yaml_path.map(Path::to_path_buf),
            environment: Vec::new(),
            overrides,
        }
    }

    /// Adds this process's variables that begin with `prefix`.
    #[must_use]
    pub fn with_process_environment(self, prefix: &str) -> Self {
        let variables = std::env::vars_os().map(|(name, value)| {
            let text = |part: std::ffi::OsString| part.to_string_lossy().into_owned();
            (text(name), text(value))
        });
        self.with_environment(prefix, variables)
    }

    /// Adds those of `variables` that begin with `prefix`. After it, two
    /// underscores part the keys: `KVATLAS__SCORER__LISTEN` is
    /// `scorer.listen`.
    #[must_use]
    pub fn with_environment(
        mut self,
        prefix: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        for (name, value) in variables {
            if let Some(rest) = name.strip_prefix(prefix) {
                let keys = rest.to_lowercase().split("__").map(str::to_owned).collect();
                self.environment.push((name, keys, value));
            }
        }
        // The order of variables in a process is no one's choice.
        self.environment.sort();
        self
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load<T: DeserializeOwned + Serialize + Default>(&self) -> Result<T, ConfigErrors> {
        self.load_checked(|_, _| {})
    }

    /// Reads the configuration and lets `check` look at the relations between
    /// settings. `check` also sees a configuration with mistakes, whose wrong
    /// settings then stand at their defaults, so that all is reported at once.
    ///
    /// # Errors
    /// Everything that is wrong, at once, with where each setting came from.
    pub fn load_checked<T: DeserializeOwned + Serialize + Default>(
        &self,
        check: impl FnOnce(&T, &mut Mistakes),
    ) -> Result<T, ConfigErrors> {
        let mut mistakes = Mistakes::new();
        let (text, tree) = self.read_file(&mut mistakes);
        let mut layers = Layers::new(tree);
        for (name, keys, value) in &self.environment {
            let path = KeyPath::checked(keys.clone());
            layers.lay(
                path,
                Origin::Environment(name.clone()),
                value,
                &mut mistakes,
            );
        }
        for (path, value) in &self.overrides {
            layers.lay(
                path.parse(),
                Origin::Override(path.clone()),
                value,
                &mut mistakes,
            );
        }
        let defaults = serde_yaml_ng::to_value(T::default()).unwrap_or(Value::Null);
        let settings = read_all::<T>(&layers.tree, &defaults, &layers.texts, &mut mistakes);
        if let Some(settings) = &settings {
            check(settings, &mut mistakes);
        }
        mistakes.locate(|path| self.origin_of(path, &layers, &text));
        match settings {
            Some(settings) => mistakes.into_result().map(|()| settings),
            None => Err(mistakes.into_errors()),
        }
    }

    /// The file's text and tree; both empty if there is no file to read.
    fn read_file(&self, mistakes: &mut Mistakes) -> (String, Value) {
        let empty = || (String::new(), Value::Null);
        let Some(path) = &self.file else {
            return empty();
        };
        let at = |line| Origin::File {
            path: path.clone(),
            line,
        };
        let mut wrong = |saw: String, want: &str, line| {
            mistakes.push_from(String::new(), saw, want.to_owned(), Some(at(line)));
            empty()
        };
        let text = match read_bounded(path) {
            Ok(text) => text,
            Err(error) => return wrong(error.to_string(), "a readable text file", None),
        };
        if text.len() as u64 > MAX_FILE_BYTES {
            return wrong(
                "more than 1 MiB".to_owned(),
                "a file of at most 1 MiB",
                None,
            );
        }
        match serde_yaml_ng::from_str::<Value>(&text) {
            Ok(tree) if depth(&tree) > MAX_DEPTH => {
                let want = "at most 16 sections or lists inside each other";
                wrong("deeper nesting".to_owned(), want, None)
            }
            Ok(tree @ (Value::Mapping(_) | Value::Null)) => (text, tree),
            Ok(_) => wrong(
                "no section".to_owned(),
                "lines of the form key: value",
                None,
            ),
            Err(error) => {
                let line = error.location().map(|location| location.line());
                wrong(error.to_string(), "valid YAML", line)
            }
        }
    }

    fn origin_of(&self, path: &str, layers: &Layers, text: &str) -> Option<Origin> {
        let path: KeyPath = path.parse().ok()?;
        if let Some(origin) = path
            .with_ancestors()
            .find_map(|above| layers.origins.get(&above))
        {
            return Some(origin.clone());
        }
        let absent = value_at(&layers.tree, &path).is_none();
        let file = self.file.as_ref()?;
        match line_of(text, &path, absent) {
            Some(line) => Some(Origin::File {
                path: file.clone(),
                line: Some(line),
            }),
            None => Some(Origin::Default),
        }
    }
}

/// How many sections and lists stand inside each other.
pub(super) fn depth(value: &Value) -> usize {
    match value {
        Value::Sequence(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Mapping(mapping) => 1 + mapping.values().map(depth).max().unwrap_or(0),
        Value::Tagged(tagged) => depth(&tagged.value),
        _ => 0,
    }
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)?;
    Ok(text)
}
