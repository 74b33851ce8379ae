//! `kvatlas.v1.AppendRequest` as a batch, checked and counted on the way.

use proto_model::{
    Batch, Command, Endpoint, EventsCommand, Extras, Incarnation, KeySpace, Message, Publisher,
    Rank, StreamId, Timestamp,
};

use super::problem::{BatchProblem, InvalidBatch, Wrong};
use super::wire::{Fields, Value};
use crate::{limits, names};

mod change;
mod route;

pub(super) fn batch(bytes: &[u8], memory_max: usize) -> Result<Batch, InvalidBatch> {
    let mut memory = Memory { left: memory_max };
    let read = read_batch(bytes, &mut memory);
    read.map_err(|wrong| wrong.whole(memory_max))
}

/// What may still be built.
pub(super) struct Memory {
    left: usize,
}

impl Memory {
    /// Takes the memory of `count` values and `bytes` beside them.
    #[inline]
    fn take<T>(&mut self, count: usize, bytes: usize) -> Result<(), Wrong> {
        let wanted = count.saturating_mul(size_of::<T>()).saturating_add(bytes);
        self.left = self.left.checked_sub(wanted).ok_or(Wrong::TooMuch)?;
        Ok(())
    }
}

fn read_batch(bytes: &[u8], memory: &mut Memory) -> Result<Batch, Wrong> {
    let mut fields = Fields::of(bytes);
    let mut commands = Vec::new();
    while let Some((tag, value)) = fields.next()? {
        if tag == 1 {
            let read = command(value, memory);
            commands.push(read.map_err(|wrong| wrong.in_element("commands", commands.len()))?);
        }
    }
    Ok(Batch { commands })
}

fn command(value: Value<'_>, memory: &mut Memory) -> Result<Command, Wrong> {
    memory.take::<Command>(1, 0)?;
    let mut fields = value.message()?;
    let mut command = None;
    while let Some((tag, value)) = fields.next()? {
        let (name, read) = match tag {
            1 => ("events", events(value, memory).map(Command::Events)),
            2 => ("gap", gap(value, memory)),
            3 => ("reset", reset(value, memory)),
            4 => ("endpoint_removed", endpoint_removed(value, memory)),
            5 => (
                "route_recorded",
                route::recorded(value, memory).map(Command::RouteRecorded),
            ),
            6 => ("expire", route::expire(value)),
            _ => continue,
        };
        let read = read.map_err(|wrong| wrong.in_field(name))?;
        if command.replace(read).is_some() {
            return Err(Wrong::from(BatchProblem::Twice).in_field("command"));
        }
    }
    command.ok_or_else(|| Wrong::from(BatchProblem::Missing).in_field("command"))
}

fn events(value: Value<'_>, memory: &mut Memory) -> Result<EventsCommand, Wrong> {
    let mut fields = value.message()?;
    let (mut named, mut model) = (None, String::new());
    let (mut spaces, mut messages) = (Vec::new(), Vec::new());
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => named = Some(publisher(value, memory)?),
            2 => model = stored_name("model", value, memory)?,
            3 => {
                let read = space(value, memory);
                spaces.push(read.map_err(|wrong| wrong.in_element("spaces", spaces.len()))?);
            }
            4 => {
                let read = message(value, memory);
                messages.push(read.map_err(|wrong| wrong.in_element("messages", messages.len()))?);
            }
            _ => {}
        }
    }
    Ok(EventsCommand {
        publisher: required("publisher", named)?,
        model,
        spaces,
        messages,
    })
}

fn message(value: Value<'_>, memory: &mut Memory) -> Result<Message, Wrong> {
    memory.take::<Message>(1, 0)?;
    let mut fields = value.message()?;
    let mut message = Message {
        sequence: 0,
        timestamp: Timestamp(0),
        stream: None,
        changes: Vec::new(),
    };
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => message.sequence = at("sequence", value.number())?,
            2 => message.timestamp = Timestamp(at("timestamp_us", value.fixed())?),
            3 => message.stream = at("stream", stream(value))?,
            4 => {
                let read = change::change(value, memory);
                let index = message.changes.len();
                message
                    .changes
                    .push(read.map_err(|wrong| wrong.in_element("changes", index))?);
            }
            _ => {}
        }
    }
    Ok(message)
}

fn stream(value: Value<'_>) -> Result<Option<StreamId>, Wrong> {
    let bytes = value.bytes()?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let (found, expected) = (bytes.len(), "16, or none,");
    let id = bytes.try_into();
    let id = id.map_err(|_| BatchProblem::Length { found, expected })?;
    Ok(Some(StreamId(id)))
}

fn gap(value: Value<'_>, memory: &mut Memory) -> Result<Command, Wrong> {
    let mut fields = value.message()?;
    let (mut named, mut incarnation, mut next) = (None, None, 0);
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => named = Some(publisher(value, memory)?),
            2 => incarnation = Some(Incarnation(at("incarnation", value.number())?)),
            3 => next = at("next", value.number())?,
            _ => {}
        }
    }
    Ok(Command::Gap {
        publisher: required("publisher", named)?,
        incarnation,
        next,
    })
}

fn reset(value: Value<'_>, memory: &mut Memory) -> Result<Command, Wrong> {
    let mut fields = value.message()?;
    let (mut named, mut incarnation) = (None, 0);
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => named = Some(publisher(value, memory)?),
            2 => incarnation = at("incarnation", value.number())?,
            _ => {}
        }
    }
    Ok(Command::Reset {
        publisher: required("publisher", named)?,
        incarnation: Incarnation(incarnation),
    })
}

fn endpoint_removed(value: Value<'_>, memory: &mut Memory) -> Result<Command, Wrong> {
    let (endpoint, rank) = endpoint(value.message()?, memory)?;
    Ok(Command::EndpointRemoved { endpoint, rank })
}

fn publisher(value: Value<'_>, memory: &mut Memory) -> Result<Publisher, Wrong> {
    let read = value.message().and_then(|fields| endpoint(fields, memory));
    let (endpoint, rank) = at("publisher", read)?;
    let rank = rank.unwrap_or_default();
    Ok(Publisher { endpoint, rank })
}

/// Cluster, address and rank, which have the same numbers in both messages.
fn endpoint(
    mut fields: Fields<'_>,
    memory: &mut Memory,
) -> Result<(Endpoint, Option<Rank>), Wrong> {
    let (mut cluster, mut address, mut rank) = ("", "", None);
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => cluster = at("cluster", value.text())?,
            2 => address = at("address", value.text())?,
            3 => rank = Some(Rank(at("rank", value.number32())?)),
            _ => {}
        }
    }
    memory.take::<u8>(cluster.len() + address.len(), 0)?;
    let endpoint = Endpoint::new(cluster, address).map_err(BatchProblem::from)?;
    Ok((endpoint, rank))
}

fn space(value: Value<'_>, memory: &mut Memory) -> Result<KeySpace, Wrong> {
    memory.take::<KeySpace>(1, 0)?;
    let mut fields = value.message()?;
    let (mut profile, mut model, mut lora) = (0, String::new(), None);
    let (mut block_size, mut hidden) = (0, 0);
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => profile = at("profile", value.number())?,
            2 => model = stored_name("model", value, memory)?,
            3 => lora = Some(stored_name("lora", value, memory)?),
            4 => block_size = at("block_size", value.number32())?,
            5 => hidden = at("extras_hidden", value.number())?,
            _ => {}
        }
    }
    Ok(KeySpace {
        profile: enumerated("profile", profile, names::profile)?,
        model,
        lora,
        block_size,
        extras: if hidden == 0 {
            Extras::Published
        } else {
            Extras::Hidden
        },
    })
}

fn stored_name(
    field: &'static str,
    value: Value<'_>,
    memory: &mut Memory,
) -> Result<String, Wrong> {
    let text = at(field, value.text())?;
    if text.len() > limits::STORED_NAME_BYTES {
        return at(field, Err(BatchProblem::NameTooLong(text.len()).into()));
    }
    memory.take::<u8>(text.len(), 0)?;
    Ok(text.to_owned())
}

fn enumerated<T>(
    field: &'static str,
    value: u64,
    known: impl FnOnce(i32) -> Result<T, names::UnknownValue>,
) -> Result<T, Wrong> {
    let found = i32::try_from(value)
        .ok()
        .and_then(|value| known(value).ok());
    found.ok_or_else(|| Wrong::from(BatchProblem::Unknown(value)).in_field(field))
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, Wrong> {
    value.ok_or_else(|| Wrong::from(BatchProblem::Missing).in_field(field))
}

#[inline]
fn at<T>(field: &'static str, read: Result<T, Wrong>) -> Result<T, Wrong> {
    read.map_err(|wrong| wrong.in_field(field))
}
