//! One payload: a msgpack batch of events.

use proto_model::Timestamp;
use rmp::Marker;

use crate::decode::{decode_event, value};
use crate::reader::{Fault, Reader, name};
use crate::{BatchError, EngineEvent, EventError, EventProblem, FieldError, Limits};

/// Integer timestamps from here on are milliseconds (Mooncake's publisher);
/// as seconds they would lie beyond the year 5000.
const MILLISECONDS_FROM: f64 = 1e11;

/// What one scheduler step of an engine changed, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBatch {
    /// When the engine made the batch.
    pub timestamp: Timestamp,
    /// Whose cache it is about, where the engine says so.
    pub data_parallel_rank: Option<u32>,
    /// The changes, in the order in which they are to be applied.
    pub events: Vec<EngineEvent>,
}

/// A batch, and what of it could not be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The batch without the events in `errors`.
    pub batch: EventBatch,
    /// The events that could not be used, in order. If there are any, the
    /// publisher's memberships are no longer known to be right.
    pub errors: Vec<EventError>,
    /// Fields that this version does not know and passed over. Not an error: an
    /// engine newer than this decoder sends them.
    pub unknown_fields: u32,
}

/// Reads a payload: `[ts, events]`, `[ts, events, rank]`, or a map with the
/// fields `ts`, `events` and `data_parallel_rank`.
pub fn decode_batch(payload: &[u8], limits: &Limits) -> Result<Decoded, BatchError> {
    if payload.is_empty() {
        return Err(BatchError::Empty);
    }
    if payload.len() > limits.payload_bytes {
        return Err(BatchError::PayloadTooLarge {
            bytes: payload.len(),
            limit: limits.payload_bytes,
        });
    }
    let mut reader = Reader::new(payload, limits);
    let mut parts = Parts::default();
    parts.read(&mut reader).map_err(into_batch_error)?;
    if reader.remaining() > 0 {
        return Err(BatchError::TrailingBytes {
            offset: reader.position(),
            bytes: reader.remaining(),
        });
    }
    parts.finish()
}

/// A fault outside any event concerns a field of the batch.
fn into_batch_error(fault: Fault) -> BatchError {
    match fault {
        Fault::Payload(error) => error,
        Fault::Event(EventProblem::Field(error)) => BatchError::Field(error),
        Fault::Event(EventProblem::NotAnEvent { found }) => BatchError::NotABatch { found },
        Fault::Event(EventProblem::NoTag | EventProblem::UnknownTag { .. }) => {
            BatchError::NotABatch { found: "value" }
        }
    }
}

/// The fields of the batch as they turn up.
#[derive(Default)]
struct Parts {
    timestamp: Option<Timestamp>,
    rank: Option<u32>,
    events: Option<Vec<EngineEvent>>,
    errors: Vec<EventError>,
    unknown_fields: u32,
}

impl Parts {
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let marker = reader.marker()?;
        if let Some(length) = reader.array_length(marker)? {
            for field in 0..length {
                match field {
                    0 => self.read_timestamp(reader)?,
                    1 => self.read_events(reader)?,
                    2 => self.read_rank(reader)?,
                    _ => self.pass_over(reader)?,
                }
            }
            return Ok(());
        }
        let Some(pairs) = reader.map_length(marker)? else {
            return Err(Fault::Payload(BatchError::NotABatch {
                found: name(marker),
            }));
        };
        for _ in 0..pairs {
            match value::key(reader)? {
                Some("ts" | "timestamp") => self.read_timestamp(reader)?,
                Some("events") => self.read_events(reader)?,
                Some("data_parallel_rank" | "attn_dp_rank" | "dp_rank") => {
                    self.read_rank(reader)?
                }
                _ => self.pass_over(reader)?,
            }
        }
        Ok(())
    }

    fn pass_over(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        self.unknown_fields = self.unknown_fields.saturating_add(1);
        reader.skip()
    }

    fn read_rank(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        self.rank = value::optional_u32(reader, "data_parallel_rank")?;
        Ok(())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a double's precision is what engines send"
    )]
    fn read_timestamp(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let marker = reader.marker()?;
        let seconds = match marker {
            Marker::F64 => f64::from_bits(reader.unsigned(8)?),
            Marker::F32 => {
                let bits = u32::try_from(reader.unsigned(4)?).unwrap_or_default();
                f64::from(f32::from_bits(bits))
            }
            _ => match reader.integer(marker)?.map(|integer| integer as f64) {
                Some(millis) if millis >= MILLISECONDS_FROM => millis / 1e3,
                Some(seconds) => seconds,
                None => return Err(value::wrong_type("ts", "number", marker).into()),
            },
        };
        if !seconds.is_finite() || seconds < 0.0 {
            return Err(Fault::Payload(BatchError::Timestamp { found: seconds }));
        }
        self.timestamp = Some(Timestamp::from_seconds(seconds));
        Ok(())
    }

    fn read_events(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let marker = reader.marker()?;
        let Some(length) = reader.array_length(marker)? else {
            return Err(value::wrong_type("events", "array", marker).into());
        };
        let limit = reader.limits.events;
        if length > limit {
            return Err(Fault::Payload(BatchError::TooManyEvents {
                found: length,
                limit,
            }));
        }
        reader.charge(length.saturating_mul(size_of::<EngineEvent>()))?;
        let mut events = Vec::with_capacity(length);
        self.errors.clear();
        for index in 0..length {
            let start = reader.position();
            match decode_event(reader, &mut self.unknown_fields) {
                Ok(event) => events.push(event),
                Err(Fault::Payload(error)) => return Err(Fault::Payload(error)),
                Err(Fault::Event(problem)) => {
                    reader.charge(size_of::<EventError>())?;
                    self.errors.push(EventError { index, problem });
                    reader.rewind(start);
                    reader.skip()?;
                }
            }
        }
        self.events = Some(events);
        Ok(())
    }

    fn finish(self) -> Result<Decoded, BatchError> {
        let timestamp = self.timestamp.ok_or(FieldError::Missing { field: "ts" })?;
        let events = self.events.ok_or(FieldError::Missing { field: "events" })?;
        Ok(Decoded {
            batch: EventBatch {
                timestamp,
                data_parallel_rank: self.rank,
                events,
            },
            errors: self.errors,
            unknown_fields: self.unknown_fields,
        })
    }
}
