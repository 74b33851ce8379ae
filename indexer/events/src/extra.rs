//! Extra keys: what blocks depend on besides their tokens.

use proto_model::ExtraKey;
use rmp::Marker;

use crate::FieldError;
use crate::decode::value::{bounded_array, bytes_of, text_of, wrong_type};
use crate::reader::{Fault, Reader, name};

const FIELD: &str = "extra_keys";

/// One list per block, or an empty list if no block has any: nearly no event
/// has extra keys, and then nothing is kept.
pub(crate) fn read_extra_keys(reader: &mut Reader<'_>) -> Result<Vec<Vec<ExtraKey>>, Fault> {
    let marker = reader.marker()?;
    if marker == Marker::Null {
        return Ok(Vec::new());
    }
    let blocks = bounded_array(reader, FIELD, marker, reader.limits.hashes)?;
    let mut lists = Vec::new();
    for block in 0..blocks {
        let keys = read_block(reader)?;
        if keys.is_empty() {
            continue;
        }
        if lists.is_empty() {
            reader.charge(blocks.saturating_mul(size_of::<Vec<ExtraKey>>()))?;
            lists = vec![Vec::new(); blocks];
        }
        lists[block] = keys;
    }
    Ok(lists)
}

fn read_block(reader: &mut Reader<'_>) -> Result<Vec<ExtraKey>, Fault> {
    let marker = reader.marker()?;
    if marker == Marker::Null {
        return Ok(Vec::new());
    }
    let length = bounded_array(reader, FIELD, marker, reader.limits.extra_keys)?;
    reader.charge(length.saturating_mul(size_of::<ExtraKey>()))?;
    let mut keys = Vec::with_capacity(length);
    for _ in 0..length {
        keys.push(read_key(reader)?);
    }
    Ok(keys)
}

fn read_key(reader: &mut Reader<'_>) -> Result<ExtraKey, Fault> {
    let marker = reader.marker()?;
    if let Some(length) = reader.text_length(marker)? {
        return Ok(ExtraKey::Text(owned(reader, length)?));
    }
    if let Some(length) = reader.bytes_length(marker)? {
        return read_bytes(reader, length);
    }
    match reader.array_length(marker)? {
        Some(length) => read_list(reader, length),
        None => Err(FieldError::ExtraKey {
            found: name(marker),
        }
        .into()),
    }
}

/// `[identifier, offset]`, or one of the tagged forms that vLLM 0.31 and later
/// hashes (and so might publish): `["lora", name, path]`, `["mm", identifier,
/// offset]`, `["cache_salt", salt]`, `["prompt_embeds", bytes]`.
fn read_list(reader: &mut Reader<'_>, length: usize) -> Result<ExtraKey, Fault> {
    if !(2..=3).contains(&length) {
        return Err(FieldError::ExtraKey {
            found: "list that has not 2 or 3 elements",
        }
        .into());
    }
    let head = read_text(reader)?;
    match (length, head, name(reader.peek()?)) {
        (2, identifier, "integer") => {
            reader.charge(identifier.len())?;
            let identifier = identifier.to_owned();
            Ok(ExtraKey::Item {
                identifier,
                offset: read_offset(reader)?,
            })
        }
        (2, "cache_salt", "text") => read_key(reader),
        (2, "prompt_embeds", "byte string") => read_key(reader),
        (3, "mm", "text") => {
            let marker = reader.marker()?;
            let length = reader.text_length(marker)?.unwrap_or(0);
            let identifier = owned(reader, length)?;
            Ok(ExtraKey::Item {
                identifier,
                offset: read_offset(reader)?,
            })
        }
        (3, "lora", "text") => {
            let name = read_key(reader)?;
            // The path, which the same name always has.
            reader.skip()?;
            Ok(name)
        }
        _ => Err(FieldError::ExtraKey {
            found: "list with an unknown tag",
        }
        .into()),
    }
}

fn read_text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Fault> {
    let marker = reader.marker()?;
    match reader.text_length(marker)? {
        Some(length) => text_of(reader, FIELD, length),
        None => Err(FieldError::ExtraKey {
            found: name(marker),
        }
        .into()),
    }
}

fn owned(reader: &mut Reader<'_>, length: usize) -> Result<String, Fault> {
    let text = text_of(reader, FIELD, length)?;
    reader.charge(text.len())?;
    Ok(text.to_owned())
}

fn read_bytes(reader: &mut Reader<'_>, length: usize) -> Result<ExtraKey, Fault> {
    let bytes = bytes_of(reader, FIELD, length)?;
    reader.charge(bytes.len())?;
    Ok(ExtraKey::Bytes(bytes.to_vec()))
}

fn read_offset(reader: &mut Reader<'_>) -> Result<i64, Fault> {
    let marker = reader.marker()?;
    let Some(found) = reader.integer(marker)? else {
        return Err(wrong_type(FIELD, "integer offset", marker).into());
    };
    let limit = i64::MAX.unsigned_abs();
    i64::try_from(found).map_err(|_| {
        FieldError::OutOfRange {
            field: FIELD,
            found,
            limit,
        }
        .into()
    })
}
