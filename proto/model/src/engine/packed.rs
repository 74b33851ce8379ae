//! Many numbers of few bytes each, written without a branch for each.
//!
//! How many bytes a token id takes depends on its size, which no processor can
//! guess: a branch per token costs more than hashing its bytes.

use crate::TokenId;

/// A number as it is written: its bytes, the first one lowest, and how many they
/// are. The bytes above are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) bytes: u64,
    pub(super) length: usize,
}

/// The longest form of a token id, in bytes.
const LONGEST: usize = 5;

/// Appends every token in the form that `pack` gives it, at most [`LONGEST`] bytes.
#[inline]
pub(super) fn append(
    buffer: &mut Vec<u8>,
    tokens: &[TokenId],
    mut pack: impl FnMut(TokenId) -> Packed,
) {
    const WORD: usize = size_of::<u64>();
    let mut end = buffer.len();
    // Whole words are written, so the last one needs room behind it.
    buffer.resize(end + tokens.len() * LONGEST + WORD, 0);
    let mut room = &mut buffer[end..];
    for token in tokens {
        let Packed { bytes, length } = pack(*token);
        debug_assert!(length <= LONGEST, "{length} bytes for {token}");
        // A word of known length is one store; there always is room for it.
        let Some(word) = room.first_chunk_mut::<WORD>() else {
            break;
        };
        *word = bytes.to_le_bytes();
        room = &mut room[length..];
        end += length;
    }
    buffer.truncate(end);
}
