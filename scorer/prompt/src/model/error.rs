use std::io;
use std::path::PathBuf;

use crate::json::JsonError;
use crate::template::TemplateError;

/// Why a model cannot be loaded. The text names the file and the fix.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file without which there is no model is absent.
    #[error("{}: missing; a model needs its {file}, copy it there", .directory.join(.file).display())]
    Missing {
        /// Where it should be.
        directory: PathBuf,
        /// Its name.
        file: &'static str,
    },
    /// A file cannot be read.
    #[error("{}: cannot be read; check that it exists and its permissions", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file is larger than such a file may be.
    #[error("{}: larger than {limit} bytes; is it the right file?", .path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// A file is not JSON.
    #[error("{file}: not usable JSON; download it again")]
    Json {
        /// Which file.
        file: String,
        /// What the parser saw.
        #[source]
        source: JsonError,
    },
    /// A file's content has another form than such a file has.
    #[error("{file}: {path}: found {found}, allowed is {allowed}")]
    Malformed {
        /// Which file.
        file: String,
        /// Where in it.
        path: String,
        /// What was found.
        found: &'static str,
        /// What is allowed there.
        allowed: &'static str,
    },
    /// A template file is not UTF-8.
    #[error("{file}: not UTF-8 text; download it again")]
    NotText {
        /// Which file.
        file: String,
    },
    /// `tokenizer.json` is not a tokenizer that can be loaded.
    #[error("tokenizer.json: {reason}; it must be a tokenizer of the `tokenizers` library")]
    Tokenizer {
        /// The library's own words.
        reason: String,
    },
    /// A chat template cannot be compiled.
    #[error("{file}: template {template:?} cannot be compiled")]
    Template {
        /// Which file it stands in.
        file: String,
        /// Its name; `default` if it has none.
        template: String,
        /// Where and why.
        #[source]
        source: TemplateError,
    },
}
