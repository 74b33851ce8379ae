//! The same payloads read with `rmp-serde` alone: what decoding costs others.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A batch as a straightforward reader would type it.
#[derive(Debug, Deserialize)]
pub(crate) struct Batch(
    #[expect(dead_code, reason = "read, as every reader does")] f64,
    pub(crate) Vec<Event>,
    #[expect(dead_code, reason = "read, as every reader does")] Option<u32>,
);

/// One event: the fields that an index needs.
#[derive(Debug, Default)]
pub(crate) struct Event {
    pub(crate) hashes: Vec<u64>,
    pub(crate) parent: Option<u64>,
    pub(crate) tokens: Vec<u32>,
    pub(crate) block_size: u32,
}

impl Event {
    /// Something of every field, so that none is optimised away.
    pub(crate) fn weight(&self) -> usize {
        let parent = usize::from(self.parent.is_some());
        self.hashes.len() + self.tokens.len() + self.block_size as usize + parent
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EventVisitor)
    }
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event as an array or a map")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Event, A::Error> {
        let mut event = Event::default();
        let tag: &str = fields.next_element()?.unwrap_or_default();
        event.hashes = fields.next_element()?.unwrap_or_default();
        if tag == "BlockStored" {
            event.parent = fields.next_element()?.unwrap_or_default();
            event.tokens = fields.next_element()?.unwrap_or_default();
            event.block_size = fields.next_element()?.unwrap_or_default();
        }
        while fields.next_element::<IgnoredAny>()?.is_some() {}
        Ok(event)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Event, A::Error> {
        let mut event = Event::default();
        while let Some(name) = fields.next_key::<&str>()? {
            match name {
                "block_hashes" => event.hashes = fields.next_value()?,
                "parent_block_hash" => event.parent = fields.next_value()?,
                "token_ids" => event.tokens = fields.next_value()?,
                "block_size" => event.block_size = fields.next_value()?,
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(event)
    }
}
