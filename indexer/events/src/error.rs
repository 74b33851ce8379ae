//! Each way in which a payload or an event can be wrong.

use proto_model::UnknownMedium;

/// Why a payload is not a batch at all. None of its events can be used, so the
/// publisher's memberships are no longer known to be right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BatchError {
    /// The payload frame is empty.
    #[error("payload is empty; expected a msgpack event batch")]
    Empty,
    /// The payload is larger than [`Limits::payload_bytes`](crate::Limits).
    #[error("payload has {bytes} bytes; at most {limit} are accepted")]
    PayloadTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The payload is neither a msgpack array nor a map.
    #[error("payload is a msgpack {found}; expected [ts, events, rank] or a map of these")]
    NotABatch {
        /// What it is.
        found: &'static str,
    },
    /// The bytes end inside a value.
    #[error(
        "payload ends at byte {offset}, inside a value that needs at least {needed} more bytes"
    )]
    Truncated {
        /// Where the missing value begins.
        offset: usize,
        /// What it needs beyond the end, at the least.
        needed: usize,
    },
    /// A byte that msgpack never uses.
    #[error("payload byte {offset} is 0xc1, which msgpack never uses; is it msgpack at all?")]
    ReservedByte {
        /// Where it stands.
        offset: usize,
    },
    /// The batch is complete, but bytes follow it.
    #[error("{bytes} bytes follow the batch, which ends at byte {offset}")]
    TrailingBytes {
        /// Where the batch ends.
        offset: usize,
        /// How many bytes follow.
        bytes: usize,
    },
    /// More events than [`Limits::events`](crate::Limits).
    #[error("batch declares {found} events; at most {limit} are accepted")]
    TooManyEvents {
        /// As declared.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The events would take more memory than
    /// [`Limits::decoded_bytes`](crate::Limits).
    #[error("decoded events exceed {limit} bytes in memory")]
    DecodedTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The timestamp is negative, infinite or not a number.
    #[error("batch field ts is {found}; expected seconds since the Unix epoch")]
    Timestamp {
        /// What it is.
        found: f64,
    },
    /// A field of the batch itself is wrong.
    #[error("batch {0}")]
    Field(#[from] FieldError),
}

/// One event of a batch that could not be used. The other events of the batch
/// are right, but what this one said is lost: mark the publisher suspect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {index}: {problem}")]
pub struct EventError {
    /// The event's position in the batch as sent, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub problem: EventProblem,
}

/// What is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventProblem {
    /// It is neither a tagged array nor a tagged map.
    #[error("is a msgpack {found}; expected a tagged array or map")]
    NotAnEvent {
        /// What it is.
        found: &'static str,
    },
    /// It has no tag: an empty array, or a map without `type`.
    #[error("has no tag; expected BlockStored, BlockRemoved or AllBlocksCleared")]
    NoTag,
    /// It has a tag that no known engine sends.
    #[error("has the unknown tag {tag:?}; known are BlockStored, BlockRemoved, AllBlocksCleared")]
    UnknownTag {
        /// The tag, cut to 64 characters.
        tag: String,
    },
    /// One of its fields is wrong.
    #[error("{0}")]
    Field(#[from] FieldError),
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A field that has no default is not there.
    #[error("field {field} is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A value of another type.
    #[error("field {field} is a msgpack {found}; expected {expected}")]
    WrongType {
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A number beyond what the field can hold.
    #[error("field {field} is {found}; expected 0 to {limit}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// The number.
        found: i128,
        /// The largest number that it can hold.
        limit: u64,
    },
    /// More elements than [`Limits`](crate::Limits) allows.
    #[error("field {field} declares {found} elements; at most {limit} are accepted")]
    TooMany {
        /// The field.
        field: &'static str,
        /// As declared.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A longer text or byte string than [`Limits`](crate::Limits) allows.
    #[error("field {field} has {found} bytes; at most {limit} are accepted")]
    TooLong {
        /// The field.
        field: &'static str,
        /// As declared.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A text that is not UTF-8.
    #[error("field {field} is not UTF-8")]
    NotUtf8 {
        /// The field.
        field: &'static str,
    },
    /// A medium that no engine is known to use.
    #[error("field medium: {0}")]
    Medium(#[from] UnknownMedium),
    /// An extra key of no known form.
    #[error(
        "field extra_keys holds a msgpack {found} where a text, bytes, [identifier, offset] or a \
         tagged list is expected"
    )]
    ExtraKey {
        /// What it is.
        found: &'static str,
    },
}
