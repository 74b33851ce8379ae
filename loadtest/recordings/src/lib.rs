//! Recorded engines: real vLLM event streams and requests, played over real sockets.
//!
//! A [`Recording`] is what one vLLM server published and what it answered, read
//! from the files that `testdata/vllm/README.md` describes. A [`RecordedEngine`]
//! publishes those messages, byte for byte, as the engine did: a PUB socket that
//! connects to a bound subscriber.

mod engine;
mod media;
mod recording;
mod request;

pub use engine::{EngineError, RecordedEngine};
pub use media::{MediaSpan, media_identifiers, media_spans};
pub use recording::{EngineMeta, Published, Recording, RecordingError};
pub use request::{Overlap, RecordedRequest, RequestKind};
