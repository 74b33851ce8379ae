//! Newtypes for the numbers that must never be mistaken for one another.

use serde::{Deserialize, Serialize};

/// A token id as the model's tokenizer and the engine number them.
pub type TokenId = u32;

/// Our 64-bit key of one block *in its prefix*: equal prefixes in one
/// [`KeySpace`](crate::KeySpace) have equal keys, whatever engine holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlockKey(pub u64);

/// The engine's own block hash as it stands in events.
///
/// Integer hashes are taken as they are (negative ones as two's complement);
/// of a byte hash the **last** eight bytes count, big-endian, which is what
/// vLLM publishes itself when it publishes integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EngineHash(pub u64);

impl EngineHash {
    /// Takes the hash from a digest; shorter digests count as zero-extended.
    #[must_use]
    pub fn from_digest(digest: &[u8]) -> Self {
        let tail = &digest[digest.len().saturating_sub(8)..];
        Self(
            tail.iter()
                .fold(0, |value, byte| value << 8 | u64::from(*byte)),
        )
    }
}

/// The 16 bytes that a publisher with 24-byte sequence frames adds to every
/// sequence number; a new value is a new incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(pub [u8; 16]);

/// When an engine says it made a message: microseconds since the Unix epoch.
///
/// Only compared within one publisher; clocks of different engines never meet.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// From the engines' float seconds; what is not a time counts as zero.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped above"
    )]
    pub fn from_seconds(seconds: f64) -> Self {
        let micros = (seconds * 1e6).round();
        if micros.is_finite() && micros > 0.0 {
            Self(micros.min(u64::MAX as f64) as u64)
        } else {
            Self(0)
        }
    }
}
