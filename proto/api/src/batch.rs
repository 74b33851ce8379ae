//! Batches of the store, to the wire and back.
//!
//! Batches carry every block of a fleet, so both ways are written by hand: one
//! pass, no messages in between. Reading has bounds of its own: two bytes on the
//! wire can stand for an empty message, which takes many more in memory, so what
//! is built is counted while it is built.

mod problem;
mod read;
mod wire;
mod write;

use bytes::{Buf, BufMut, Bytes};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType};
use proto_model::Batch;

pub use problem::{BatchProblem, InvalidBatch};

/// A `kvatlas.v1.AppendRequest` as its bytes: written once however often it is
/// sent, and read only where its limits are known. Clones share the bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AppendRequest {
    bytes: Bytes,
}

impl AppendRequest {
    /// The batch as it is sent.
    #[must_use]
    pub fn of(batch: &Batch) -> Self {
        Self {
            bytes: write::batch(batch).into(),
        }
    }

    /// A request of bytes from anywhere; nothing is looked at yet.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// How many bytes are sent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing in it, that is, a batch without commands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Reads the batch. It may take `memory_max` bytes of memory, not counting
    /// what the allocator adds.
    ///
    /// # Errors
    /// `TooLarge` beyond `memory_max`; otherwise names the first field that is
    /// not as `store.proto` has it.
    pub fn batch(&self, memory_max: usize) -> Result<Batch, InvalidBatch> {
        read::batch(&self.bytes, memory_max)
    }
}

/// Sizes, never content: names of adapters may be telling.
impl std::fmt::Debug for AppendRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AppendRequest({} bytes)", self.bytes.len())
    }
}

/// For the generated client and server: bytes pass through as they are.
impl prost::Message for AppendRequest {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.bytes);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        // Nothing calls this as long as `decode` takes everything; what it skips
        // would be lost.
        let _ = self;
        prost::encoding::skip_field(wire_type, tag, buf, ctx)
    }

    fn decode(mut buf: impl Buf) -> Result<Self, DecodeError> {
        Ok(Self {
            bytes: buf.copy_to_bytes(buf.remaining()),
        })
    }

    fn merge(&mut self, mut buf: impl Buf) -> Result<(), DecodeError> {
        // Messages one after another are one message with the fields of both.
        let mut bytes = Vec::with_capacity(self.bytes.len() + buf.remaining());
        bytes.extend_from_slice(&self.bytes);
        bytes.put(buf.copy_to_bytes(buf.remaining()));
        self.bytes = bytes.into();
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    fn clear(&mut self) {
        self.bytes.clear();
    }
}
