//! The tuple that is hashed per block, and how versions write its extra keys.

use super::digest::EngineDigest;
use super::sink::{Sink, Value};
use crate::{ExtraRef, Lora, TokenId};

/// What a block's hash depends on besides its parent and its tokens.
#[derive(Debug, Clone, Copy, Default)]
pub struct EngineExtras<'a> {
    /// The request's adapter; from [`EngineHasher::lora_key`](super::EngineHasher::lora_key).
    pub lora: Option<LoraKey<'a>>,
    /// Media items, salt (first block only), prompt embeddings: in this order.
    pub keys: &'a [ExtraRef<'a>],
    /// The tokens after the block that the engine hashes with it; empty unless
    /// it looks ahead (speculative decoding of the EAGLE kind, vLLM 0.33).
    pub lookahead: &'a [TokenId],
}

/// An adapter as a version hashes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoraKey<'a>(LoraForm<'a>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoraForm<'a> {
    Id(i64),
    Name(&'a str),
    Tagged { name: &'a str, path: &'a str },
}

/// Why an adapter's blocks cannot be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoraKeyError {
    /// The engine hashes the adapter's number.
    #[error("the engine hashes the LoRA adapter's number, which is not known; configure its id")]
    MissingId,
    /// The engine hashes the adapter's path and never publishes it.
    #[error("the engine hashes the LoRA adapter's path, which is not known; configure its path")]
    MissingPath,
}

/// Which part of an adapter a version hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoraRule {
    Id,
    Name,
    NameAndPath,
}

impl LoraRule {
    pub(super) fn key(self, lora: &Lora) -> Result<LoraKey<'_>, LoraKeyError> {
        let form = match self {
            Self::Id => LoraForm::Id(lora.id.ok_or(LoraKeyError::MissingId)?),
            Self::Name => LoraForm::Name(&lora.name),
            Self::NameAndPath => {
                let path = lora.path.as_deref().ok_or(LoraKeyError::MissingPath)?;
                LoraForm::Tagged {
                    name: &lora.name,
                    path,
                }
            }
        };
        Ok(LoraKey(form))
    }
}

/// How a version writes items, salts and embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyRule {
    /// Bare, items by identifier only.
    Identifier,
    /// Bare, items as (identifier, offset).
    IdentifierOffset,
    /// Each a tuple that begins with its kind.
    Tagged,
}

/// How the chained value enters the next block's tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParentRule {
    /// As `bytes`.
    Bytes,
    /// As a non-negative `int`.
    Natural,
    /// As a signed 64-bit `int`.
    Signed,
}

/// One `str`.
pub(super) struct Text<'a>(pub(super) &'a str);

impl Value for Text<'_> {
    fn write<S: Sink>(&self, sink: &mut S) {
        sink.text(self.0);
    }
}

/// `(parent, (token, ..), extra)`.
pub(super) struct Block<'a> {
    pub(super) parent: (ParentRule, &'a EngineDigest),
    pub(super) tokens: &'a [TokenId],
    pub(super) key_rule: KeyRule,
    pub(super) extras: &'a EngineExtras<'a>,
}

impl Value for Block<'_> {
    fn write<S: Sink>(&self, sink: &mut S) {
        let (tokens, lookahead) = (self.tokens, self.extras.lookahead);
        sink.open(3);
        write_parent(sink, self.parent.0, self.parent.1);
        sink.open(tokens.len());
        sink.tokens(tokens);
        sink.close(tokens.len());
        if lookahead.is_empty() {
            write_extras(sink, self.key_rule, self.extras);
        } else {
            sink.open(1 + lookahead.len());
            write_extras(sink, self.key_rule, self.extras);
            sink.tokens(lookahead);
            sink.close(1 + lookahead.len());
        }
        sink.close(3);
    }
}

fn write_parent<S: Sink>(sink: &mut S, rule: ParentRule, parent: &EngineDigest) {
    let bytes = parent.as_bytes();
    match rule {
        ParentRule::Bytes => sink.bytes(bytes),
        // The root of vLLM 0.9 is a 256-bit number even where the chain is signed.
        ParentRule::Signed if bytes.len() == 8 => sink.int(parent.hash().0 as i64),
        ParentRule::Signed | ParentRule::Natural => sink.natural(bytes),
    }
}

fn write_extras<S: Sink>(sink: &mut S, rule: KeyRule, extras: &EngineExtras<'_>) {
    let length = usize::from(extras.lora.is_some()) + extras.keys.len();
    if length == 0 {
        sink.none();
        return;
    }
    sink.open(length);
    if let Some(LoraKey(form)) = extras.lora {
        write_lora(sink, form);
    }
    extras
        .keys
        .iter()
        .for_each(|key| write_key(sink, rule, *key));
    sink.close(length);
}

fn write_lora<S: Sink>(sink: &mut S, form: LoraForm<'_>) {
    match form {
        LoraForm::Id(id) => sink.int(id),
        LoraForm::Name(name) => sink.text(name),
        LoraForm::Tagged { name, path } => {
            sink.open(3);
            sink.text("lora");
            sink.text(name);
            sink.text(path);
            sink.close(3);
        }
    }
}

fn write_key<S: Sink>(sink: &mut S, rule: KeyRule, key: ExtraRef<'_>) {
    match (rule, key) {
        (KeyRule::Identifier, ExtraRef::Item { identifier, .. }) => sink.text(identifier),
        (KeyRule::IdentifierOffset, ExtraRef::Item { identifier, offset }) => {
            sink.open(2);
            sink.text(identifier);
            sink.int(offset);
            sink.close(2);
        }
        (KeyRule::Tagged, ExtraRef::Item { identifier, offset }) => {
            sink.open(3);
            sink.text("mm");
            sink.text(identifier);
            sink.int(offset);
            sink.close(3);
        }
        (KeyRule::Tagged, ExtraRef::Text(text)) => {
            sink.open(2);
            sink.text("cache_salt");
            sink.text(text);
            sink.close(2);
        }
        (KeyRule::Tagged, ExtraRef::Bytes(bytes)) => {
            sink.open(2);
            sink.text("prompt_embeds");
            sink.bytes(bytes);
            sink.close(2);
        }
        (_, ExtraRef::Text(text)) => sink.text(text),
        (_, ExtraRef::Bytes(bytes)) => sink.bytes(bytes),
    }
}
