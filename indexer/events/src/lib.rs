//! Engine frames to typed KV-cache events.
//!
//! Sync, no sockets, no clock. Bytes come in as an engine sent them; out come
//! typed frames, topics and events, or an error that names the field, what was
//! found and what to do. Nothing that a socket delivers can panic here, and
//! memory is bounded by [`Limits`] whatever lengths a message declares.
//!
//! ```text
//!  multipart message ── parse_live ────▶ LiveFrame ──┐ payload
//!                                         topic ──▶ Topic
//!  replay answer ────── parse_replay ──▶ ReplayFrame ┴─▶ decode_batch ──▶ Decoded
//! ```

mod batch;
mod decode;
mod error;
mod event;
mod extra;
mod frame;
mod limits;
mod reader;
mod spare;
mod topic;

pub use batch::{Decoded, Envelope, EventBatch, Visit, decode_batch, visit_batch};
pub use error::{BatchError, EventError, EventProblem, FieldError};
pub use event::{BlockRemoved, BlockStored, EngineEvent, ExtraKeys, Locality, SpecKind};
pub use frame::{
    FrameError, LiveFrame, REPLAY_END, ReplayFrame, parse_live, parse_replay, replay_request,
};
pub use limits::Limits;
pub use spare::Spare;
pub use topic::{TOPIC_PREFIX, Topic, TopicError};
