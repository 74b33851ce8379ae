use minijinja::Value as Variable;
use serde_json::Value;

use super::tokenizer_config::Token;
use super::{LoadError, ModelFiles, TokenizerConfig};

/// The names under which templates know special tokens.
const NAMES: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];
const ADDITIONAL: [&str; 2] = ["additional_special_tokens", "extra_special_tokens"];

/// A model's special tokens by the name that its templates use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    named: Vec<(String, String)>,
    additional: Vec<String>,
    /// All of them with how they are matched, in the order they are added in.
    pub(super) tokens: Vec<Token>,
}

impl SpecialTokens {
    /// From the configuration or, for models older than it, from the files that
    /// it replaced.
    pub(super) fn of(config: &TokenizerConfig, files: &ModelFiles) -> Result<Self, LoadError> {
        let older = if config.lists_added_tokens {
            None
        } else {
            files.special_tokens_map()?
        };
        let field = |name: &str| {
            let old = older.as_ref().and_then(|map| map.get(name));
            old.filter(|value| !value.is_null())
                .or_else(|| config.special_tokens.get(name))
        };
        let mut found = Self::default();
        for name in NAMES {
            if let Some(token) = field(name).and_then(Token::from_json) {
                found.add_named(name, token);
            }
        }
        for name in ADDITIONAL {
            match field(name) {
                Some(Value::Array(tokens)) => found.add_additional(tokens),
                Some(Value::Object(tokens)) => {
                    for (name, token) in tokens {
                        if let Some(token) = Token::from_json(token) {
                            found.add_named(name, token);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// The token with this name, such as `bos_token`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, token)| token.as_str())
    }

    fn add_named(&mut self, name: &str, token: Token) {
        self.named.push((name.to_owned(), token.content.clone()));
        self.tokens.push(Token {
            special: true,
            ..token
        });
    }

    fn add_additional(&mut self, tokens: &[Value]) {
        for token in tokens.iter().filter_map(Token::from_json) {
            self.additional.push(token.content.clone());
            self.tokens.push(Token {
                special: true,
                ..token
            });
        }
    }

    /// As template variables; a token that is not set stays undefined.
    pub(super) fn into_variables(self) -> Vec<(String, Variable)> {
        let mut variables: Vec<_> = self
            .named
            .into_iter()
            .map(|(name, token)| (name, Variable::from(token)))
            .collect();
        if !self.additional.is_empty() {
            variables.push((
                ADDITIONAL[0].to_owned(),
                self.additional.into_iter().collect(),
            ));
        }
        variables
    }
}
