//! The same decoder once more, as one would write it if it might be slow: the whole
//! payload becomes a tree (`rmpv`), and the rules of `docs/events.md` are read off it.
//!
//! It knows no memory budget, and takes no short cuts. Which of several errors comes
//! first is part of what it says.

#[path = "reference/event.rs"]
mod event;
#[path = "reference/values.rs"]
mod values;

use indexer_events::{BatchError, Decoded, EventBatch, EventError, FieldError, Limits};
use proto_model::Timestamp;
use rmpv::ValueRef;
use rmpv::decode::{Error, read_value_ref};

/// What the slow decoder makes of a payload.
#[derive(Debug)]
pub(crate) enum Reading {
    /// Not one whole msgpack value.
    Unreadable,
    /// Nested deeper than the tree's reader goes.
    TooDeep,
    /// Msgpack, but no batch.
    Refused(BatchError),
    /// A batch.
    Read(Decoded),
}

/// Reads a payload.
pub(crate) fn read(payload: &[u8], limits: &Limits) -> Reading {
    match tree(payload) {
        Err(Error::DepthLimitExceeded) => Reading::TooDeep,
        Err(_) | Ok(None) => Reading::Unreadable,
        Ok(Some(value)) => match batch(&value, limits) {
            Ok(decoded) => Reading::Read(decoded),
            Err(error) => Reading::Refused(error),
        },
    }
}

/// The one value that the payload is, if it is one.
fn tree(payload: &[u8]) -> Result<Option<ValueRef<'_>>, Error> {
    let mut rest = payload;
    let value = read_value_ref(&mut rest)?;
    if !rest.is_empty() || stands_for_nil(payload, &value) {
        return Ok(None);
    }
    Ok(Some(value))
}

/// Whether a byte `c1`, which msgpack never uses, stands where a value begins. The
/// tree's reader takes it for nil, so there a nil makes the same tree of it.
fn stands_for_nil(payload: &[u8], value: &ValueRef<'_>) -> bool {
    let mut suspects = (0..payload.len())
        .filter(|at| payload[*at] == 0xc1)
        .peekable();
    if suspects.peek().is_none() {
        return false;
    }
    // As text: a float that is no number equals nothing.
    let value = format!("{value:?}");
    let mut other = payload.to_vec();
    suspects.any(|at| {
        other[at] = 0xc0;
        let same = read_value_ref(&mut &other[..]).is_ok_and(|nil| format!("{nil:?}") == value);
        other[at] = 0xc1;
        same
    })
}

/// What a value is, in an error's words.
fn kind(value: &ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::Nil => "nil",
        ValueRef::Boolean(_) => "boolean",
        ValueRef::Integer(_) => "integer",
        ValueRef::F32(_) | ValueRef::F64(_) => "float",
        ValueRef::String(_) => "text",
        ValueRef::Binary(_) => "byte string",
        ValueRef::Array(_) => "array",
        ValueRef::Map(_) => "map",
        ValueRef::Ext(..) => "extension",
    }
}

fn is_nil(value: &ValueRef<'_>) -> bool {
    matches!(value, ValueRef::Nil)
}

fn integer(value: &ValueRef<'_>) -> Option<i128> {
    let ValueRef::Integer(integer) = value else {
        return None;
    };
    let unsigned = integer.as_u64().map(i128::from);
    unsigned.or_else(|| integer.as_i64().map(i128::from))
}

/// A number of a field that may be nil.
fn number<T: TryFrom<i128>>(
    value: &ValueRef<'_>,
    field: &'static str,
    limit: u64,
) -> Result<Option<T>, FieldError> {
    if is_nil(value) {
        return Ok(None);
    }
    let found = integer(value).ok_or_else(|| wrong_type(value, field, "integer"))?;
    match T::try_from(found) {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(FieldError::OutOfRange {
            field,
            found,
            limit,
        }),
    }
}

fn wrong_type(value: &ValueRef<'_>, field: &'static str, expected: &'static str) -> FieldError {
    FieldError::WrongType {
        field,
        expected,
        found: kind(value),
    }
}

/// The name of a field, if the value can be one.
fn key<'a>(value: &'a ValueRef<'_>) -> Option<&'a [u8]> {
    match value {
        ValueRef::String(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// The fields of a batch in the order in which they stand, by their first names.
fn fields<'v, 'a>(
    value: &'v ValueRef<'a>,
) -> Result<Vec<(&'static str, &'v ValueRef<'a>)>, BatchError> {
    match value {
        ValueRef::Array(values) => {
            let names = ["ts", "events", "rank"].into_iter();
            Ok(names.chain(std::iter::repeat("")).zip(values).collect())
        }
        ValueRef::Map(pairs) => {
            let pairs = pairs.iter().map(|(name, value)| {
                let name = match key(name) {
                    Some(b"ts" | b"timestamp") => "ts",
                    Some(b"events") => "events",
                    Some(b"data_parallel_rank" | b"attn_dp_rank" | b"dp_rank") => "rank",
                    _ => "",
                };
                (name, value)
            });
            Ok(pairs.collect())
        }
        _ => Err(BatchError::NotABatch { found: kind(value) }),
    }
}

fn batch(value: &ValueRef<'_>, limits: &Limits) -> Result<Decoded, BatchError> {
    let (mut timestamp, mut rank, mut list) = (None, None, None);
    let mut unknown_fields = 0;
    for (name, value) in fields(value)? {
        match name {
            "ts" => timestamp = Some(time(value)?),
            "rank" => rank = number(value, "data_parallel_rank", u32::MAX.into())?,
            "events" => list = Some(events(value, limits, &mut unknown_fields)?),
            _ => unknown_fields += 1,
        }
    }
    let timestamp = timestamp.ok_or(FieldError::Missing { field: "ts" })?;
    let (events, errors) = list.ok_or(FieldError::Missing { field: "events" })?;
    Ok(Decoded {
        batch: EventBatch {
            timestamp,
            data_parallel_rank: rank,
            events,
        },
        errors,
        unknown_fields,
    })
}

#[expect(clippy::cast_precision_loss, reason = "what doubles can hold")]
fn time(value: &ValueRef<'_>) -> Result<Timestamp, BatchError> {
    let seconds = match value {
        ValueRef::F64(seconds) => *seconds,
        ValueRef::F32(seconds) => f64::from(*seconds),
        _ => match integer(value) {
            Some(millis) if millis >= 100_000_000_000 => millis as f64 / 1000.0,
            Some(seconds) => seconds as f64,
            None => return Err(wrong_type(value, "ts", "number").into()),
        },
    };
    if seconds.is_finite() && seconds >= 0.0 {
        Ok(Timestamp::from_seconds(seconds))
    } else {
        Err(BatchError::Timestamp { found: seconds })
    }
}

type Events = (Vec<indexer_events::EngineEvent>, Vec<EventError>);

fn events(
    value: &ValueRef<'_>,
    limits: &Limits,
    unknown_fields: &mut u32,
) -> Result<Events, BatchError> {
    let ValueRef::Array(values) = value else {
        return Err(wrong_type(value, "events", "array").into());
    };
    if values.len() > limits.events {
        return Err(BatchError::TooManyEvents {
            found: values.len(),
            limit: limits.events,
        });
    }
    let (mut events, mut errors) = (Vec::new(), Vec::new());
    for (index, value) in values.iter().enumerate() {
        match event::event(value, limits, unknown_fields) {
            Ok(event) => events.push(event),
            Err(problem) => errors.push(EventError { index, problem }),
        }
    }
    Ok((events, errors))
}
