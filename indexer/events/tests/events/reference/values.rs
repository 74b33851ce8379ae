//! Texts, hashes, token ids and extra keys of the tree.

use indexer_events::{FieldError, Limits};
use proto_model::{EngineHash, ExtraKey, TokenId};
use rmpv::ValueRef;

use super::{integer, is_nil, kind, wrong_type};

const EXTRA_KEYS: &str = "extra_keys";

fn bounded<'v, 'a>(
    value: &'v ValueRef<'a>,
    field: &'static str,
    limit: usize,
) -> Result<&'v [ValueRef<'a>], FieldError> {
    match value {
        ValueRef::Array(values) if values.len() > limit => Err(FieldError::TooMany {
            field,
            found: values.len(),
            limit,
        }),
        ValueRef::Array(values) => Ok(values),
        _ => Err(wrong_type(value, field, "array")),
    }
}

fn short<'a>(
    bytes: &'a [u8],
    field: &'static str,
    limits: &Limits,
) -> Result<&'a [u8], FieldError> {
    if bytes.len() > limits.text_bytes {
        return Err(FieldError::TooLong {
            field,
            found: bytes.len(),
            limit: limits.text_bytes,
        });
    }
    Ok(bytes)
}

/// A text of a field that may be nil.
pub(super) fn text(
    value: &ValueRef<'_>,
    field: &'static str,
    limits: &Limits,
) -> Result<Option<String>, FieldError> {
    let ValueRef::String(text) = value else {
        return match value {
            ValueRef::Nil => Ok(None),
            _ => Err(wrong_type(value, field, "text")),
        };
    };
    let bytes = short(text.as_bytes(), field, limits)?;
    let text = String::from_utf8(bytes.to_vec());
    text.map(Some).map_err(|_| FieldError::NotUtf8 { field })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "two's complement"
)]
pub(super) fn hash(
    value: &ValueRef<'_>,
    field: &'static str,
    limits: &Limits,
) -> Result<EngineHash, FieldError> {
    if let Some(integer) = integer(value) {
        return Ok(EngineHash(integer as u64));
    }
    let ValueRef::Binary(digest) = value else {
        return Err(wrong_type(value, field, "integer or byte string"));
    };
    let last = short(digest, field, limits)?.iter().rev().take(8);
    let number = last
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    Ok(EngineHash(number))
}

pub(super) fn hashes(value: &ValueRef<'_>, limits: &Limits) -> Result<Vec<EngineHash>, FieldError> {
    let values = bounded(value, "block_hashes", limits.hashes)?;
    let hashes = values
        .iter()
        .map(|value| hash(value, "block_hashes", limits));
    hashes.collect()
}

pub(super) fn tokens(
    value: &ValueRef<'_>,
    field: &'static str,
    limits: &Limits,
) -> Result<Vec<TokenId>, FieldError> {
    if is_nil(value) {
        return Ok(Vec::new());
    }
    let tokens = bounded(value, field, limits.tokens)?.iter().map(|value| {
        let found = integer(value).ok_or_else(|| wrong_type(value, field, "integer"))?;
        TokenId::try_from(found).map_err(|_| FieldError::OutOfRange {
            field,
            found,
            limit: TokenId::MAX.into(),
        })
    });
    tokens.collect()
}

/// The extra keys of each block, or an empty list if no block has any.
pub(super) fn extra_keys(
    value: &ValueRef<'_>,
    limits: &Limits,
) -> Result<Vec<Vec<ExtraKey>>, FieldError> {
    if is_nil(value) {
        return Ok(Vec::new());
    }
    let blocks = bounded(value, EXTRA_KEYS, limits.hashes)?.iter();
    let lists = blocks.map(|block| {
        if is_nil(block) {
            return Ok(Vec::new());
        }
        let keys = bounded(block, EXTRA_KEYS, limits.extra_keys)?.iter();
        keys.map(|key| extra_key(key, limits)).collect()
    });
    let lists: Vec<Vec<_>> = lists.collect::<Result<_, _>>()?;
    let any = lists.iter().any(|list| !list.is_empty());
    Ok(if any { lists } else { Vec::new() })
}

fn extra_key(value: &ValueRef<'_>, limits: &Limits) -> Result<ExtraKey, FieldError> {
    let unknown = |found| FieldError::ExtraKey { found };
    let words = |value| text(value, EXTRA_KEYS, limits).map(Option::unwrap_or_default);
    let bytes = |bytes: &[u8]| short(bytes, EXTRA_KEYS, limits).map(<[u8]>::to_vec);
    let list = match value {
        ValueRef::String(_) => return words(value).map(ExtraKey::Text),
        ValueRef::Binary(found) => return bytes(found).map(ExtraKey::Bytes),
        ValueRef::Array(list) => list,
        _ => return Err(unknown(kind(value))),
    };
    let (head, rest) = match &list[..] {
        [head, rest @ ..] if matches!(rest.len(), 1 | 2) => (head, rest),
        _ => return Err(unknown("list that has not 2 or 3 elements")),
    };
    if kind(head) != "text" {
        return Err(unknown(kind(head)));
    }
    let head = words(head)?;
    match (head.as_str(), rest) {
        (_, [number @ ValueRef::Integer(_)]) => Ok(ExtraKey::Item {
            identifier: head,
            offset: offset(number)?,
        }),
        ("cache_salt", [salt @ ValueRef::String(_)]) => words(salt).map(ExtraKey::Text),
        ("prompt_embeds", [ValueRef::Binary(digest)]) => bytes(digest).map(ExtraKey::Bytes),
        ("mm", [identifier @ ValueRef::String(_), number]) => Ok(ExtraKey::Item {
            identifier: words(identifier)?,
            offset: offset(number)?,
        }),
        ("lora", [name @ ValueRef::String(_), _]) => words(name).map(ExtraKey::Text),
        _ => Err(unknown("list with an unknown tag")),
    }
}

fn offset(value: &ValueRef<'_>) -> Result<i64, FieldError> {
    let found = integer(value).ok_or_else(|| wrong_type(value, EXTRA_KEYS, "integer offset"))?;
    i64::try_from(found).map_err(|_| FieldError::OutOfRange {
        field: EXTRA_KEYS,
        found,
        limit: i64::MAX.unsigned_abs(),
    })
}
