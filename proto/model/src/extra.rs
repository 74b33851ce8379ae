//! What distinguishes two blocks with the same tokens: salts and media items.

use std::fmt;

/// A secret that separates tenants: part of the key, never logged or returned.
#[derive(Clone, PartialEq, Eq)]
pub struct CacheSalt(String);

impl CacheSalt {
    /// Wraps the salt so that it cannot be printed by accident.
    #[must_use]
    pub fn new(salt: String) -> Self {
        Self(salt)
    }

    /// The salt itself, for hashing only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CacheSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheSalt(..)")
    }
}

/// One element of a block's extra keys, in the order in which the engine hashes
/// them: media items, then the salt, then prompt embeddings. The LoRA adapter
/// is not among them: it is part of the [`KeySpace`](crate::KeySpace).
///
/// The event form (untagged, vLLM 0.17.1 and later) is what both paths share:
/// a salt and an old-style item identifier are both a bare text there.
#[derive(Clone, PartialEq, Eq)]
pub enum ExtraKey {
    /// A bare text: a cache salt, or (vLLM before 0.19) an item identifier.
    Text(String),
    /// A media item that overlaps the block, with the item's first position
    /// relative to the block's; negative if the item began before the block.
    Item {
        /// The engine's identifier of the item, usually a hash of its content.
        identifier: String,
        /// `item start - block start`, in tokens.
        offset: i64,
    },
    /// Raw bytes: the hash of prompt embeddings.
    Bytes(Vec<u8>),
}

/// An [`ExtraKey`] that borrows its parts, so that hashing copies nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ExtraRef<'a> {
    /// A salt or an old-style item identifier.
    Text(&'a str),
    /// A media item.
    Item {
        /// The engine's identifier of the item.
        identifier: &'a str,
        /// `item start - block start`, in tokens.
        offset: i64,
    },
    /// The hash of prompt embeddings.
    Bytes(&'a [u8]),
}

impl ExtraKey {
    /// The same key, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> ExtraRef<'_> {
        match self {
            Self::Text(text) => ExtraRef::Text(text),
            Self::Item { identifier, offset } => ExtraRef::Item {
                identifier,
                offset: *offset,
            },
            Self::Bytes(bytes) => ExtraRef::Bytes(bytes),
        }
    }
}

impl ExtraRef<'_> {
    /// The same key, with its own copies.
    #[must_use]
    pub fn to_owned_key(self) -> ExtraKey {
        match self {
            Self::Text(text) => ExtraKey::Text(text.to_owned()),
            Self::Item { identifier, offset } => ExtraKey::Item {
                identifier: identifier.to_owned(),
                offset,
            },
            Self::Bytes(bytes) => ExtraKey::Bytes(bytes.to_vec()),
        }
    }
}

impl fmt::Debug for ExtraKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.borrowed().fmt(f)
    }
}

impl fmt::Debug for ExtraRef<'_> {
    /// A text may be a salt, so texts are never shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(..)"),
            Self::Item { identifier, offset } => f
                .debug_struct("Item")
                .field("identifier", identifier)
                .field("offset", offset)
                .finish(),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
        }
    }
}
