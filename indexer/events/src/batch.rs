//! One payload: a msgpack batch of events.

use proto_model::{Medium, Timestamp};
use rmp::Marker;

use crate::decode::{Event, decode_event, value};
use crate::reader::{Fault, Reader, name};
use crate::{BatchError, EngineEvent, EventError, EventProblem, FieldError, Limits, Spare};
use crate::{BlockRemoved, BlockStored};

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

/// A batch without its events, which have been shown to a visitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// When the engine made the batch.
    pub timestamp: Timestamp,
    /// Whose cache it is about, where the engine says so.
    pub data_parallel_rank: Option<u32>,
    /// As in [`Decoded::errors`].
    pub errors: Vec<EventError>,
    /// As in [`Decoded::unknown_fields`].
    pub unknown_fields: u32,
}

/// What a batch consists of, piece by piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit<'a> {
    /// The list of so many events begins. Should a batch have two, only the
    /// later one counts, and this says so.
    Begin(usize),
    /// Blocks were stored.
    Stored(&'a BlockStored),
    /// One physical copy of each block is gone.
    Removed(&'a BlockRemoved),
    /// Every block is gone, from this medium or from all.
    Cleared {
        /// The medium, where the engine names one.
        medium: Option<Medium>,
    },
}

/// Reads a payload: `[ts, events]`, `[ts, events, rank]`, or a map with the
/// fields `ts`, `events` and `data_parallel_rank`.
pub fn decode_batch(payload: &[u8], limits: &Limits) -> Result<Decoded, BatchError> {
    let mut events = Vec::new();
    let mut spare = Spare::default();
    let collect = &mut Collect(&mut events);
    let envelope = read_batch(payload, limits, &mut spare, collect)?;
    Ok(Decoded {
        batch: EventBatch {
            timestamp: envelope.timestamp,
            data_parallel_rank: envelope.data_parallel_rank,
            events,
        },
        errors: envelope.errors,
        unknown_fields: envelope.unknown_fields,
    })
}

/// Reads a payload as [`decode_batch`] does, but shows each event to `visit` and
/// keeps none: the vectors in `spare` serve for all events, so that nothing is
/// allocated where no texts are sent.
///
/// After an error whatever was visited must be given up.
pub fn visit_batch(
    payload: &[u8],
    limits: &Limits,
    spare: &mut Spare,
    visit: impl FnMut(Visit<'_>),
) -> Result<Envelope, BatchError> {
    read_batch(payload, limits, spare, &mut Show(visit))
}

fn read_batch(
    payload: &[u8],
    limits: &Limits,
    spare: &mut Spare,
    sink: &mut impl Sink,
) -> Result<Envelope, BatchError> {
    if payload.is_empty() {
        return Err(BatchError::Empty);
    }
    if payload.len() > limits.payload_bytes {
        return Err(BatchError::PayloadTooLarge {
            bytes: payload.len(),
            limit: limits.payload_bytes,
        });
    }
    let mut reader = Reader::new(payload, limits, spare);
    let mut parts = Parts::new(sink);
    parts.read(&mut reader).map_err(into_batch_error)?;
    if reader.remaining() > 0 {
        return Err(BatchError::TrailingBytes {
            offset: reader.position(),
            bytes: reader.remaining(),
        });
    }
    parts.finish()
}

/// What becomes of events.
trait Sink {
    fn begin(&mut self, events: usize);
    fn event(&mut self, event: Event, spare: &mut Spare);
}

/// Keeps them.
struct Collect<'a>(&'a mut Vec<EngineEvent>);

impl Sink for Collect<'_> {
    fn begin(&mut self, events: usize) {
        *self.0 = Vec::with_capacity(events);
    }

    fn event(&mut self, event: Event, _spare: &mut Spare) {
        self.0.push(match event {
            Event::Stored(event) => EngineEvent::BlockStored(Box::new(event)),
            Event::Removed(event) => EngineEvent::BlockRemoved(event),
            Event::Cleared { medium } => EngineEvent::AllBlocksCleared { medium },
        });
    }
}

/// Shows them, and takes their vectors back.
struct Show<F>(F);

impl<F: FnMut(Visit<'_>)> Sink for Show<F> {
    fn begin(&mut self, events: usize) {
        (self.0)(Visit::Begin(events));
    }

    fn event(&mut self, event: Event, spare: &mut Spare) {
        match event {
            Event::Stored(event) => {
                (self.0)(Visit::Stored(&event));
                spare.take_stored(event);
            }
            Event::Removed(event) => {
                (self.0)(Visit::Removed(&event));
                spare.take_removed(event);
            }
            Event::Cleared { medium } => (self.0)(Visit::Cleared { medium }),
        }
    }
}

/// A fault outside any event concerns a field of the batch.
fn into_batch_error(fault: Fault) -> BatchError {
    let problem = match fault {
        Fault::Payload(error) => return *error,
        Fault::Event(problem) => *problem,
    };
    match problem {
        EventProblem::Field(error) => BatchError::Field(error),
        EventProblem::NotAnEvent { found } => BatchError::NotABatch { found },
        EventProblem::NoTag | EventProblem::UnknownTag { .. } => {
            BatchError::NotABatch { found: "value" }
        }
    }
}

/// The fields of the batch as they turn up.
struct Parts<'s, S> {
    sink: &'s mut S,
    timestamp: Option<Timestamp>,
    rank: Option<u32>,
    has_events: bool,
    errors: Vec<EventError>,
    unknown_fields: u32,
}

impl<'s, S: Sink> Parts<'s, S> {
    fn new(sink: &'s mut S) -> Self {
        Self {
            sink,
            timestamp: None,
            rank: None,
            has_events: false,
            errors: Vec::new(),
            unknown_fields: 0,
        }
    }

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
            return Err(BatchError::NotABatch {
                found: name(marker),
            }
            .into());
        };
        for _ in 0..pairs {
            match value::key(reader)? {
                Some(b"ts" | b"timestamp") => self.read_timestamp(reader)?,
                Some(b"events") => self.read_events(reader)?,
                Some(b"data_parallel_rank" | b"attn_dp_rank" | b"dp_rank") => {
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
            Marker::F64 => f64::from_bits(reader.u64()?),
            Marker::F32 => f64::from(f32::from_bits(reader.u32()?)),
            _ => match reader.integer(marker)?.map(|integer| integer as f64) {
                Some(millis) if millis >= MILLISECONDS_FROM => millis / 1e3,
                Some(seconds) => seconds,
                None => return Err(value::wrong_type("ts", "number", marker).into()),
            },
        };
        if !seconds.is_finite() || seconds < 0.0 {
            return Err(BatchError::Timestamp { found: seconds }.into());
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
            return Err(BatchError::TooManyEvents {
                found: length,
                limit,
            }
            .into());
        }
        reader.charge(length.saturating_mul(size_of::<EngineEvent>()))?;
        self.sink.begin(length);
        self.errors.clear();
        for index in 0..length {
            let start = reader.position();
            match decode_event(reader, &mut self.unknown_fields) {
                Ok(event) => self.sink.event(event, reader.spare),
                Err(Fault::Payload(error)) => return Err(Fault::Payload(error)),
                Err(Fault::Event(problem)) => {
                    reader.charge(size_of::<EventError>())?;
                    let problem = *problem;
                    self.errors.push(EventError { index, problem });
                    reader.rewind(start);
                    reader.skip()?;
                }
            }
        }
        self.has_events = true;
        Ok(())
    }

    fn finish(self) -> Result<Envelope, BatchError> {
        let timestamp = self.timestamp.ok_or(FieldError::Missing { field: "ts" })?;
        if !self.has_events {
            return Err(FieldError::Missing { field: "events" }.into());
        }
        Ok(Envelope {
            timestamp,
            data_parallel_rank: self.rank,
            errors: self.errors,
            unknown_fields: self.unknown_fields,
        })
    }
}
