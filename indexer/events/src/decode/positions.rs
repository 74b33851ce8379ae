//! The array form: fields by position. Later versions only ever appended, so
//! the length tells which fields there are.

use rmp::Marker;

use super::fields::Fields;
use super::{Event, Tag, value};
use crate::EventProblem;
use crate::reader::{Fault, Reader, name};

const STORED: &[&[u8]] = &[
    b"block_hashes",
    b"parent_block_hash",
    b"token_ids",
    b"block_size",
    b"lora_id",
    b"medium",
    b"lora_name",
    b"extra_keys",
];
const REMOVED: &[&[u8]] = &[b"block_hashes", b"medium"];
const CLEARED: &[&[u8]] = &[b"medium"];

/// What follows, in stores and removals alike.
const GROUP: &[&[u8]] = &[
    b"group_idx",
    b"kv_cache_spec_kind",
    b"kv_cache_spec_sliding_window",
];

/// Reads an event of `length` elements, the tag included.
pub(super) fn decode(
    reader: &mut Reader<'_>,
    length: usize,
    unknown_fields: &mut u32,
) -> Result<Event, Fault> {
    if length == 0 {
        return Err(EventProblem::NoTag.into());
    }
    let tag = Tag::read(reader)?;
    let names = match tag {
        Tag::Stored => STORED,
        Tag::Removed => REMOVED,
        Tag::Cleared => CLEARED,
    };
    let mut fields = Fields::default();
    let mut group = GroupCursor::default();
    for index in 0..length - 1 {
        let Some(&name) = names.get(index) else {
            if tag == Tag::Cleared || !group.read(reader, index + 2 < length, &mut fields)? {
                *unknown_fields = unknown_fields.saturating_add(1);
                reader.skip()?;
            }
            continue;
        };
        if name == b"lora_name" && is_map(reader.peek()?) {
            read_metadata(reader, &mut fields, unknown_fields)?;
        } else {
            fields.read(name, reader)?;
        }
    }
    fields.finish(reader, tag)
}

/// SGLang puts a map of metadata where vLLM has the LoRA name.
fn read_metadata(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
    unknown_fields: &mut u32,
) -> Result<(), Fault> {
    let marker = reader.marker()?;
    match reader.map_length(marker)? {
        Some(pairs) => fields.read_metadata(reader, pairs, unknown_fields),
        None => Err(value::wrong_type("lora_name", "text, nil or map", marker).into()),
    }
}

/// Which of [`GROUP`] comes next.
///
/// Some publishers put the media items of each block before these fields, and
/// some leave the group's number out; the types tell.
#[derive(Default)]
struct GroupCursor(usize);

impl GroupCursor {
    /// Reads the next value; false, without moving, if it is none of [`GROUP`].
    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        more_follow: bool,
        fields: &mut Fields,
    ) -> Result<bool, Fault> {
        let marker = reader.peek()?;
        if self.0 == 0 && is_media_items(reader, marker, more_follow)? {
            reader.skip()?;
            return Ok(true);
        }
        if self.0 == 0 && name(marker) == "text" {
            self.0 = 1;
        }
        let Some(field) = GROUP.get(self.0) else {
            return Ok(false);
        };
        self.0 += 1;
        fields.read(field, reader)
    }
}

/// Whether the value is the list of media items: a list, or a nil before the
/// group's number.
fn is_media_items(
    reader: &mut Reader<'_>,
    marker: Marker,
    more_follow: bool,
) -> Result<bool, Fault> {
    if name(marker) == "array" {
        return Ok(true);
    }
    if marker != Marker::Null || !more_follow {
        return Ok(false);
    }
    let position = reader.position();
    reader.marker()?;
    let next = reader.peek()?;
    reader.rewind(position);
    Ok(name(next) == "integer")
}

fn is_map(marker: Marker) -> bool {
    name(marker) == "map"
}
