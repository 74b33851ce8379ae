//! Values of one type each, under limits. A nil is `None` where a field may be
//! nil.

use proto_model::{EngineHash, TokenId};
use rmp::Marker;

use crate::FieldError;
use crate::reader::{Fault, Reader, name};

/// Markers of unsigned numbers.
const U8: u64 = 0xcc;
const U32: u64 = 0xce;
const U64: u8 = 0xcf;

pub(crate) fn wrong_type(field: &'static str, expected: &'static str, found: Marker) -> FieldError {
    FieldError::WrongType {
        field,
        expected,
        found: name(found),
    }
}

/// The bytes of a map's key; `None` if it is no text, so no known field's name.
pub(crate) fn key<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, Fault> {
    if let Some(name) = reader.short_text() {
        return Ok(Some(name));
    }
    let start = reader.position();
    let marker = reader.marker()?;
    match reader.text_length(marker)? {
        Some(length) => Ok(Some(reader.take(length)?)),
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
    if let Some(number) = reader.small_number() {
        return Ok(Some(i128::from(number)));
    }
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
    let mut hashes = reader.spare.hashes(length);
    let read = plain_hashes(reader.rest(), length, &mut hashes);
    reader.take(read)?;
    for _ in hashes.len()..length {
        let marker = reader.marker()?;
        hashes.push(hash_of(reader, field, marker)?);
    }
    Ok(hashes)
}

/// Reads as many 64-bit numbers as come first, which nearly always is all of
/// them; returns how many bytes that were.
fn plain_hashes(bytes: &[u8], most: usize, hashes: &mut Vec<EngineHash>) -> usize {
    let mut read = 0;
    for value in bytes.chunks_exact(9).take(most) {
        let [U64, number @ ..] = value else { break };
        let Ok(number) = <[u8; 8]>::try_from(number) else {
            break;
        };
        hashes.push(EngineHash(u64::from_be_bytes(number)));
        read += 9;
    }
    read
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
        return Ok(EngineHash(reader.u64()?));
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
    let mut tokens = reader.spare.tokens(length);
    while tokens.len() < length {
        let missing = length - tokens.len();
        let read = plain_tokens(reader.rest(), missing, &mut tokens);
        reader.take(read)?;
        if tokens.len() < length {
            tokens.push(token(reader, field)?);
        }
    }
    Ok(tokens)
}

/// Reads as many unsigned numbers of at most 32 bits as come first and do not
/// stand at the very end; returns how many bytes that were.
///
/// The width of each follows from its marker by arithmetic: ids of one to five
/// bytes come in no order that a processor could guess.
#[expect(clippy::cast_possible_truncation, reason = "masked to 32 bits")]
fn plain_tokens(bytes: &[u8], most: usize, tokens: &mut Vec<TokenId>) -> usize {
    let mut read = 0;
    for _ in 0..most {
        let Some(word) = bytes.get(read..read + 8) else {
            break;
        };
        let Ok(word) = <[u8; 8]>::try_from(word) else {
            break;
        };
        let word = u64::from_be_bytes(word);
        let marker = word >> 56;
        if marker > 0x7f && !(U8..=U32).contains(&marker) {
            break;
        }
        // 1, 2 or 4 bytes after the marker, or the marker itself.
        let after = marker >> 7 << (marker & 3);
        let value = word >> (56 - 8 * after);
        let mask = ((1 << (8 * after)) - 1) | (0x7f >> (marker >> 7 << 3));
        tokens.push((value & mask) as TokenId);
        read += 1 + after as usize;
    }
    read
}

fn token(reader: &mut Reader<'_>, field: &'static str) -> Result<TokenId, Fault> {
    let marker = reader.marker()?;
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
