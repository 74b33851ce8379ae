//! Values of one type each, under limits. A nil is `None` where a field may be
//! nil.

use proto_model::{EngineHash, TokenId};
use rmp::Marker;

use crate::FieldError;
use crate::reader::{Fault, Reader, name};

pub(crate) fn wrong_type(field: &'static str, expected: &'static str, found: Marker) -> FieldError {
    FieldError::WrongType {
        field,
        expected,
        found: name(found),
    }
}

/// A map's key; `None` if it is no readable text, so no known field's name.
pub(crate) fn key<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a str>, Fault> {
    let start = reader.position();
    let marker = reader.marker()?;
    match reader.text_length(marker)? {
        Some(length) => Ok(std::str::from_utf8(reader.take(length)?).ok()),
        None => {
            reader.rewind(start);
            reader.skip()?;
            Ok(None)
        }
    }
}

/// A text in place.
pub(crate) fn text<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
) -> Result<Option<&'a str>, Fault> {
    let marker = reader.marker()?;
    if marker == Marker::Null {
        return Ok(None);
    }
    let Some(length) = reader.text_length(marker)? else {
        return Err(wrong_type(field, "text", marker).into());
    };
    text_of(reader, field, length).map(Some)
}

/// A text whose length has been read.
pub(crate) fn text_of<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
    length: usize,
) -> Result<&'a str, Fault> {
    let bytes = bytes_of(reader, field, length)?;
    std::str::from_utf8(bytes).map_err(|_| FieldError::NotUtf8 { field }.into())
}

/// A byte string whose length has been read.
pub(crate) fn bytes_of<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
    length: usize,
) -> Result<&'a [u8], Fault> {
    let bytes = reader.take(length)?;
    let limit = reader.limits.text_bytes;
    if length > limit {
        return Err(FieldError::TooLong {
            field,
            found: length,
            limit,
        }
        .into());
    }
    Ok(bytes)
}

/// A text of its own.
pub(crate) fn owned_text(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<Option<String>, Fault> {
    let Some(text) = text(reader, field)? else {
        return Ok(None);
    };
    reader.charge(text.len())?;
    Ok(Some(text.to_owned()))
}

fn optional_integer(reader: &mut Reader<'_>, field: &'static str) -> Result<Option<i128>, Fault> {
    let marker = reader.marker()?;
    if marker == Marker::Null {
        return Ok(None);
    }
    match reader.integer(marker)? {
        Some(integer) => Ok(Some(integer)),
        None => Err(wrong_type(field, "integer", marker).into()),
    }
}

pub(crate) fn optional_u16(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<Option<u16>, Fault> {
    let Some(found) = optional_integer(reader, field)? else {
        return Ok(None);
    };
    let limit = u64::from(u16::MAX);
    let value = u16::try_from(found).map_err(|_| FieldError::OutOfRange {
        field,
        found,
        limit,
    })?;
    Ok(Some(value))
}

pub(crate) fn optional_u32(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<Option<u32>, Fault> {
    let Some(found) = optional_integer(reader, field)? else {
        return Ok(None);
    };
    let limit = u64::from(u32::MAX);
    let value = u32::try_from(found).map_err(|_| FieldError::OutOfRange {
        field,
        found,
        limit,
    })?;
    Ok(Some(value))
}

pub(crate) fn optional_i64(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<Option<i64>, Fault> {
    let Some(found) = optional_integer(reader, field)? else {
        return Ok(None);
    };
    let limit = i64::MAX.unsigned_abs();
    let value = i64::try_from(found).map_err(|_| FieldError::OutOfRange {
        field,
        found,
        limit,
    })?;
    Ok(Some(value))
}

/// The length of an array of at most `limit` elements.
pub(crate) fn bounded_array(
    reader: &mut Reader<'_>,
    field: &'static str,
    marker: Marker,
    limit: usize,
) -> Result<usize, Fault> {
    match reader.array_length(marker)? {
        Some(found) if found > limit => Err(FieldError::TooMany {
            field,
            found,
            limit,
        }
        .into()),
        Some(found) => Ok(found),
        None => Err(wrong_type(field, "array", marker).into()),
    }
}

/// A list of block hashes.
pub(crate) fn hashes(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<Vec<EngineHash>, Fault> {
    let marker = reader.marker()?;
    let length = bounded_array(reader, field, marker, reader.limits.hashes)?;
    reader.charge(length.saturating_mul(size_of::<EngineHash>()))?;
    let mut hashes = Vec::with_capacity(length);
    for _ in 0..length {
        let marker = reader.marker()?;
        hashes.push(hash_of(reader, field, marker)?);
    }
    Ok(hashes)
}

pub(crate) fn optional_hash(
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<Option<EngineHash>, Fault> {
    let marker = reader.marker()?;
    if marker == Marker::Null {
        return Ok(None);
    }
    hash_of(reader, field, marker).map(Some)
}

/// A hash whose marker has been read: an integer of either sign, or a digest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "two's complement"
)]
fn hash_of(
    reader: &mut Reader<'_>,
    field: &'static str,
    marker: Marker,
) -> Result<EngineHash, Fault> {
    // By far the most common form.
    if marker == Marker::U64 {
        return Ok(EngineHash(reader.unsigned(8)?));
    }
    if let Some(integer) = reader.integer(marker)? {
        return Ok(EngineHash(integer as u64));
    }
    match reader.bytes_length(marker)? {
        Some(length) => Ok(EngineHash::from_digest(bytes_of(reader, field, length)?)),
        None => Err(wrong_type(field, "integer or byte string", marker).into()),
    }
}

/// A list of token ids; nil counts as an empty one.
pub(crate) fn tokens(reader: &mut Reader<'_>, field: &'static str) -> Result<Vec<TokenId>, Fault> {
    let marker = reader.marker()?;
    if marker == Marker::Null {
        return Ok(Vec::new());
    }
    let length = bounded_array(reader, field, marker, reader.limits.tokens)?;
    reader.charge(length.saturating_mul(size_of::<TokenId>()))?;
    let mut tokens = Vec::with_capacity(length);
    for _ in 0..length {
        tokens.push(token(reader, field)?);
    }
    Ok(tokens)
}

#[expect(clippy::cast_possible_truncation, reason = "as wide as read")]
fn token(reader: &mut Reader<'_>, field: &'static str) -> Result<TokenId, Fault> {
    let marker = reader.marker()?;
    match marker {
        Marker::FixPos(value) => return Ok(TokenId::from(value)),
        Marker::U8 => return Ok(reader.unsigned(1)? as TokenId),
        Marker::U16 => return Ok(reader.unsigned(2)? as TokenId),
        Marker::U32 => return Ok(reader.unsigned(4)? as TokenId),
        _ => {}
    }
    let Some(found) = reader.integer(marker)? else {
        return Err(wrong_type(field, "integer", marker).into());
    };
    let limit = u64::from(TokenId::MAX);
    TokenId::try_from(found).map_err(|_| {
        FieldError::OutOfRange {
            field,
            found,
            limit,
        }
        .into()
    })
}
