//! A block's chained value, before it is cut down to what events carry.

use std::fmt;

use crate::EngineHash;

/// Longest digest of any algorithm, in bytes.
const LIMIT: usize = 32;

/// The value that the engine chains: the digest's bytes, or the big-endian
/// bytes of the number (8 for `builtin` and `sha256_cbor_64bit`, 32 where
/// SHA-256 is chained as a number).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EngineDigest {
    bytes: [u8; LIMIT],
    length: u8,
}

impl EngineDigest {
    /// From 1 to 32 bytes; `None` for any other length.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() || bytes.len() > LIMIT {
            return None;
        }
        let mut digest = Self {
            bytes: [0; LIMIT],
            length: u8::try_from(bytes.len()).ok()?,
        };
        digest.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(digest)
    }

    /// A 64-bit number.
    pub(super) fn of_number(number: u64) -> Self {
        let mut bytes = [0; LIMIT];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Self { bytes, length: 8 }
    }

    /// A 128-bit number, as XXH3-128 writes itself.
    pub(super) fn of_wide(number: u128) -> Self {
        let mut bytes = [0; LIMIT];
        bytes[..16].copy_from_slice(&number.to_be_bytes());
        Self { bytes, length: 16 }
    }

    /// A SHA-256 digest.
    pub(super) fn of_sha256(bytes: [u8; LIMIT]) -> Self {
        Self { bytes, length: 32 }
    }

    /// The bytes, most significant first.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The value as events carry it: the last eight bytes, big-endian.
    #[must_use]
    pub fn hash(&self) -> EngineHash {
        EngineHash::from_digest(self.as_bytes())
    }
}

impl fmt::Debug for EngineDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineDigest(")?;
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}
