use serde_json::{Map, Value};

use super::LoadError;
use super::files::{CONFIG_FILE, malformed};
use crate::json;

/// `tokenizer_config.json`, as far as it decides prompts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TokenizerConfig {
    /// The chat templates by name; a lone one is called `default`.
    pub chat_templates: Vec<(String, String)>,
    /// The Python class that the engine loads the tokenizer with.
    pub tokenizer_class: Option<String>,
    /// Whether that class puts the `bos_token` before a text.
    pub add_bos_token: Option<bool>,
    /// Whether that class puts the `eos_token` after a text.
    pub add_eos_token: Option<bool>,
    /// Tokens beside the tokenizer's own, in order of id.
    pub(super) added_tokens: Vec<Token>,
    /// Whether the file lists added tokens: then older files count no more.
    pub(super) lists_added_tokens: bool,
    /// The fields that name special tokens, as they stand.
    pub(super) special_tokens: Map<String, Value>,
}

/// A token with how it is matched in text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) content: String,
    pub(super) single_word: bool,
    pub(super) lstrip: bool,
    pub(super) rstrip: bool,
    pub(super) normalized: bool,
    pub(super) special: bool,
}

impl TokenizerConfig {
    /// Reads the file's content.
    pub fn parse(content: &[u8]) -> Result<Self, LoadError> {
        let mut fields = match json::parse(content) {
            Ok(Value::Object(fields)) => fields,
            Ok(other) => return Err(malformed(CONFIG_FILE, "the file", &other, "an object")),
            Err(source) => {
                return Err(LoadError::Json {
                    file: CONFIG_FILE.to_owned(),
                    source,
                });
            }
        };
        let mut take = |name: &str| {
            fields
                .get_mut(name)
                .map(Value::take)
                .filter(|value| !value.is_null())
        };
        Ok(Self {
            chat_templates: take("chat_template")
                .map_or(Ok(Vec::new()), |given| templates(given, CONFIG_FILE))?,
            tokenizer_class: take("tokenizer_class")
                .and_then(|value| value.as_str().map(str::to_owned)),
            add_bos_token: take("add_bos_token").and_then(|value| value.as_bool()),
            add_eos_token: take("add_eos_token").and_then(|value| value.as_bool()),
            lists_added_tokens: fields
                .get("added_tokens_decoder")
                .is_some_and(Value::is_object),
            added_tokens: added_tokens(fields.get_mut("added_tokens_decoder").map(Value::take))?,
            special_tokens: fields,
        })
    }
}

/// A `chat_template` field: one source, a list of named ones, or an object of
/// them.
pub(super) fn templates(given: Value, file: &str) -> Result<Vec<(String, String)>, LoadError> {
    const ALLOWED: &str = "a template, or a list of objects with name and template";
    match given {
        Value::String(source) => Ok(vec![("default".to_owned(), source)]),
        Value::Array(entries) => {
            let entries = entries.into_iter().map(|mut entry| {
                let mut text = |name: &str| match entry.get_mut(name).map(Value::take) {
                    Some(Value::String(text)) => Some(text),
                    _ => None,
                };
                match (text("name"), text("template")) {
                    (Some(name), Some(source)) => Ok((name, source)),
                    _ => Err(malformed(file, "chat_template[]", &entry, ALLOWED)),
                }
            });
            entries.collect()
        }
        Value::Object(entries) => {
            let entries = entries.into_iter().map(|(name, source)| match source {
                Value::String(source) => Ok((name, source)),
                other => Err(malformed(file, "chat_template.*", &other, "a template")),
            });
            entries.collect()
        }
        other => Err(malformed(file, "chat_template", &other, ALLOWED)),
    }
}

fn added_tokens(given: Option<Value>) -> Result<Vec<Token>, LoadError> {
    let path = "added_tokens_decoder";
    let entries = match given {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(entries)) => entries,
        Some(other) => {
            return Err(malformed(
                CONFIG_FILE,
                path,
                &other,
                "an object of tokens by id",
            ));
        }
    };
    let mut tokens = Vec::with_capacity(entries.len());
    for (id, token) in entries {
        let Ok(id) = id.parse::<u32>() else {
            return Err(malformed(
                CONFIG_FILE,
                path,
                &Value::String(id),
                "token ids as keys",
            ));
        };
        let Some(token) = Token::from_json(&token) else {
            return Err(malformed(
                CONFIG_FILE,
                path,
                &token,
                "an object with content",
            ));
        };
        tokens.push((id, token));
    }
    tokens.sort_by_key(|(id, _)| *id);
    Ok(tokens.into_iter().map(|(_, token)| token).collect())
}

impl Token {
    /// A token as an object with its flags, or as bare text.
    pub(super) fn from_json(value: &Value) -> Option<Self> {
        if let Some(content) = value.as_str() {
            return Some(Self::special(content));
        }
        let flag = |name: &str| value.get(name).and_then(Value::as_bool);
        let special = flag("special").unwrap_or(false);
        Some(Self {
            content: value.get("content")?.as_str()?.to_owned(),
            single_word: flag("single_word").unwrap_or(false),
            lstrip: flag("lstrip").unwrap_or(false),
            rstrip: flag("rstrip").unwrap_or(false),
            normalized: flag("normalized").unwrap_or(!special),
            special,
        })
    }

    pub(super) fn special(content: &str) -> Self {
        Self {
            content: content.to_owned(),
            special: true,
            ..Self::default()
        }
    }
}
