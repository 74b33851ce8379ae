//! One event: a tagged array (vLLM up to 0.23, SGLang) or a tagged map (vLLM
//! from 0.24 on, Mooncake).

mod fields;
mod positions;
pub(crate) mod value;

use crate::reader::{Fault, Reader, name};
use crate::{BlockRemoved, BlockStored, EventProblem};
use fields::Fields;
use proto_model::Medium;

/// An event as it is read: nothing is boxed that may be used up at once.
pub(crate) enum Event {
    Stored(BlockStored),
    Removed(BlockRemoved),
    Cleared { medium: Option<Medium> },
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Stored,
    Removed,
    Cleared,
}

impl Tag {
    /// The engines' names, and those of Mooncake's `event_type`.
    fn from_text(text: &str) -> Result<Self, EventProblem> {
        match text {
            "BlockStored" | "stored" => Ok(Self::Stored),
            "BlockRemoved" | "removed" => Ok(Self::Removed),
            "AllBlocksCleared" | "cleared" => Ok(Self::Cleared),
            other => Err(EventProblem::UnknownTag {
                tag: other.chars().take(64).collect(),
            }),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        if reader.passes(b"\xacBlockRemoved") {
            return Ok(Self::Removed);
        }
        if reader.passes(b"\xabBlockStored") {
            return Ok(Self::Stored);
        }
        let text = value::text(reader, "type")?.ok_or(EventProblem::NoTag)?;
        Ok(Self::from_text(text)?)
    }
}

/// Reads the event at the reader's position. After [`Fault::Event`] the
/// position is somewhere within the event.
pub(crate) fn decode_event(
    reader: &mut Reader<'_>,
    unknown_fields: &mut u32,
) -> Result<Event, Fault> {
    let marker = reader.marker()?;
    if let Some(length) = reader.array_length(marker)? {
        return positions::decode(reader, length, unknown_fields);
    }
    match reader.map_length(marker)? {
        Some(pairs) => decode_map(reader, pairs, unknown_fields),
        None => Err(EventProblem::NotAnEvent {
            found: name(marker),
        }
        .into()),
    }
}

fn decode_map(
    reader: &mut Reader<'_>,
    pairs: usize,
    unknown_fields: &mut u32,
) -> Result<Event, Fault> {
    let mut tag = None;
    // In this form a field that is left out has its default: extra keys are
    // published, and there are none.
    let mut fields = Fields::with_published_extra_keys();
    for _ in 0..pairs {
        match value::key(reader)? {
            // Mooncake sends both, meaning the same; the first one counts.
            Some(b"type" | b"event_type") => {
                let found = Tag::read(reader)?;
                tag = tag.or(Some(found));
            }
            Some(name) if fields.read(name, reader)? => {}
            _ => {
                *unknown_fields = unknown_fields.saturating_add(1);
                reader.skip()?;
            }
        }
    }
    fields.finish(reader, tag.ok_or(EventProblem::NoTag)?)
}
