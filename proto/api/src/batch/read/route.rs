//! Recorded routes, and their expiry.

use proto_model::{BlockKey, Command, RouteKind, RouteRecorded, Timestamp};

use super::{Memory, at, enumerated, publisher, required};
use crate::batch::problem::{BatchProblem, Wrong};
use crate::batch::wire::{Run, Value};
use crate::names::UnknownValue;
use crate::{limits, v1};

pub(super) fn recorded(value: Value<'_>, memory: &mut Memory) -> Result<RouteRecorded, Wrong> {
    let mut fields = value.message()?;
    let (mut named, mut kind, mut capacity) = (None, 0, 0);
    let (mut recorded_at, mut expires_at) = (0, 0);
    let mut keys = Run::default();
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => named = Some(publisher(value, memory)?),
            2 => kind = at("kind", value.number())?,
            3 => recorded_at = at("recorded_at_us", value.fixed())?,
            4 => expires_at = at("expires_at_us", value.fixed())?,
            5 => capacity = at("capacity", value.number32())?,
            6 => at("keys", keys.add(value))?,
            _ => {}
        }
    }
    let (found, max) = (keys.len(), limits::ROUTE_KEYS);
    if found > max {
        let problem = BatchProblem::TooMany { found, max };
        return Err(Wrong::from(problem).in_field("keys"));
    }
    memory.take::<BlockKey>(found, 0)?;
    Ok(RouteRecorded {
        publisher: required("publisher", named)?,
        kind: enumerated("kind", kind, route_kind)?,
        recorded_at: Timestamp(recorded_at),
        expires_at: (expires_at != 0).then_some(Timestamp(expires_at)),
        capacity,
        keys: keys.values().map(BlockKey).collect(),
    })
}

pub(super) fn expire(value: Value<'_>) -> Result<Command, Wrong> {
    let mut fields = value.message()?;
    let mut until = 0;
    while let Some((tag, value)) = fields.next()? {
        if tag == 1 {
            until = at("until_us", value.fixed())?;
        }
    }
    Ok(Command::Expire {
        until: Timestamp(until),
    })
}

fn route_kind(value: i32) -> Result<RouteKind, UnknownValue> {
    match v1::RouteKind::try_from(value) {
        Ok(v1::RouteKind::Speculative) => Ok(RouteKind::Speculative),
        Ok(v1::RouteKind::Estimated) => Ok(RouteKind::Estimated),
        Ok(v1::RouteKind::Unspecified) | Err(_) => Err(UnknownValue {
            field: "kind",
            value,
        }),
    }
}
