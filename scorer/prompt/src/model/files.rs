//! A model's files that decide its prompts, read with bounds.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;

use super::{LoadError, TokenizerConfig};
use crate::json;

pub(crate) const TOKENIZER_FILE: &str = "tokenizer.json";
pub(crate) const CONFIG_FILE: &str = "tokenizer_config.json";
const SPECIAL_TOKENS_FILE: &str = "special_tokens_map.json";
const ADDED_TOKENS_FILE: &str = "added_tokens.json";
const TEMPLATE_FILE: &str = "chat_template.jinja";
const TEMPLATE_JSON_FILE: &str = "chat_template.json";
const PROCESSOR_FILE: &str = "processor_config.json";

/// Every file that may matter, with its largest size in bytes. All but the first
/// are optional.
pub(crate) const FILES: [(&str, u64); 7] = [
    (TOKENIZER_FILE, 256 << 20),
    (CONFIG_FILE, 16 << 20),
    (SPECIAL_TOKENS_FILE, 4 << 20),
    (ADDED_TOKENS_FILE, 4 << 20),
    (TEMPLATE_FILE, 4 << 20),
    (TEMPLATE_JSON_FILE, 8 << 20),
    (PROCESSOR_FILE, 8 << 20),
];

/// The content of a model's files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelFiles {
    /// `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// `tokenizer_config.json`.
    pub tokenizer_config: Option<Vec<u8>>,
    /// `special_tokens_map.json`, which older models have.
    pub special_tokens_map: Option<Vec<u8>>,
    /// `added_tokens.json`, which older models have.
    pub added_tokens: Option<Vec<u8>>,
    /// `chat_template.jinja`.
    pub chat_template: Option<Vec<u8>>,
    /// `chat_template.json`, which processors of multimodal models have.
    pub chat_template_json: Option<Vec<u8>>,
    /// `processor_config.json`.
    pub processor_config: Option<Vec<u8>>,
    /// `additional_chat_templates/NAME.jinja`, by name.
    pub additional_templates: Vec<(String, Vec<u8>)>,
}

impl ModelFiles {
    /// Reads them from a directory.
    pub fn read(directory: &Path) -> Result<Self, LoadError> {
        let mut read = FILES
            .iter()
            .map(|(file, limit)| read_bounded(&directory.join(file), *limit));
        let mut next = || read.next().transpose().map(Option::flatten);
        let Some(tokenizer) = next()? else {
            return Err(LoadError::Missing {
                directory: directory.to_owned(),
                file: TOKENIZER_FILE,
            });
        };
        Ok(Self {
            tokenizer,
            tokenizer_config: next()?,
            special_tokens_map: next()?,
            added_tokens: next()?,
            chat_template: next()?,
            chat_template_json: next()?,
            processor_config: next()?,
            additional_templates: read_additional(&directory.join("additional_chat_templates"))?,
        })
    }

    /// `tokenizer_config.json`, read.
    pub(super) fn tokenizer_config(&self) -> Result<TokenizerConfig, LoadError> {
        self.tokenizer_config
            .as_deref()
            .map_or_else(|| Ok(TokenizerConfig::default()), TokenizerConfig::parse)
    }

    pub(super) fn special_tokens_map(&self) -> Result<Option<Value>, LoadError> {
        parse_object(self.special_tokens_map.as_deref(), SPECIAL_TOKENS_FILE)
    }

    pub(super) fn added_tokens(&self) -> Result<Option<Value>, LoadError> {
        parse_object(self.added_tokens.as_deref(), ADDED_TOKENS_FILE)
    }

    pub(super) fn chat_template_json(&self) -> Result<Option<Value>, LoadError> {
        parse_object(self.chat_template_json.as_deref(), TEMPLATE_JSON_FILE)
    }

    pub(super) fn processor_config(&self) -> Result<Option<Value>, LoadError> {
        parse_object(self.processor_config.as_deref(), PROCESSOR_FILE)
    }
}

fn parse_object(content: Option<&[u8]>, file: &str) -> Result<Option<Value>, LoadError> {
    let Some(content) = content else {
        return Ok(None);
    };
    match json::parse(content) {
        Ok(value @ Value::Object(_)) => Ok(Some(value)),
        Ok(other) => Err(malformed(file, "the file", &other, "an object")),
        Err(source) => Err(LoadError::Json {
            file: file.to_owned(),
            source,
        }),
    }
}

pub(super) fn malformed(file: &str, path: &str, found: &Value, allowed: &'static str) -> LoadError {
    LoadError::Malformed {
        file: file.to_owned(),
        path: path.to_owned(),
        found: json::kind(found),
        allowed,
    }
}

/// A file's content, or nothing if there is no such file.
fn read_bounded(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, LoadError> {
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let too_large = || LoadError::TooLarge {
        path: path.to_owned(),
        limit,
    };
    if file.metadata().map_err(failed)?.len() > limit {
        return Err(too_large());
    }
    // The file may still grow while it is read.
    let mut content = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut content)
        .map_err(failed)?;
    if content.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(Some(content))
}

/// At most 64 named templates of the usual template size.
fn read_additional(directory: &Path) -> Result<Vec<(String, Vec<u8>)>, LoadError> {
    let Ok(entries) = directory.read_dir() else {
        return Ok(Vec::new());
    };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "jinja")
    });
    paths.sort();
    paths.truncate(64);
    let mut templates = Vec::with_capacity(paths.len());
    for path in paths {
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        if let (Some(name), Some(content)) = (name, read_bounded(&path, 4 << 20)?) {
            templates.push((name, content));
        }
    }
    Ok(templates)
}
