//! Pieces: how an entry lies in slots.
//!
//! ```text
//!  check LE (8) | write LE (8) | index LE (8) | number LE (4) | of LE (4) | bytes
//! ```
//!
//! sled keeps up to about twenty values in one page, and moves a page that is
//! larger than a quarter of a segment into a file that it never makes durable. So a
//! piece is small enough for twenty of them to stay below that.

use openraft::Entry;

use crate::disk::{check, checked};
use crate::types::TypeConfig;

/// Longest piece.
pub(crate) const PIECE: usize = 24 * 1024;

const SEED: u64 = 0x6b76_7261_7065_6365;
const HEADER: usize = 32;

/// Longest entry, 1 GiB: far more than a group of batches may have.
const ENTRY_MAX: usize = 1 << 30;

/// A piece as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// The write that it came with.
    pub(crate) write: u64,
    /// The entry that it belongs to.
    pub(crate) index: u64,
    /// Which piece of the entry, from 0.
    pub(crate) number: u32,
    /// How many pieces the entry has.
    pub(crate) of: u32,
    /// Its part of the entry.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Piece<'a> {
    /// `None` if it is not as it was written.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let rest = checked(SEED, bytes)?;
        let (write, rest) = rest.split_first_chunk()?;
        let (index, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (of, bytes) = rest.split_first_chunk()?;
        Some(Self {
            write: u64::from_le_bytes(*write),
            index: u64::from_le_bytes(*index),
            number: u32::from_le_bytes(*number),
            of: u32::from_le_bytes(*of),
            bytes,
        })
    }

    fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + self.bytes.len());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.write.to_le_bytes());
        out.extend_from_slice(&self.index.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.of.to_le_bytes());
        out.extend_from_slice(self.bytes);
        check::seal(SEED, &mut out);
        out
    }
}

/// An entry in bytes.
pub(crate) fn encode(entry: &Entry<TypeConfig>) -> Result<Vec<u8>, String> {
    let room = Vec::with_capacity(super::weight(entry));
    let bytes = postcard::to_extend(entry, room).map_err(|error| error.to_string())?;
    if bytes.len() > ENTRY_MAX {
        return Err(format!(
            "entry of {} bytes; at most {ENTRY_MAX} are possible",
            bytes.len()
        ));
    }
    Ok(bytes)
}

/// The entry that these bytes are.
pub(crate) fn decode(bytes: &[u8]) -> Result<Entry<TypeConfig>, String> {
    postcard::from_bytes(bytes).map_err(|error| error.to_string())
}

/// Cuts an entry into pieces, in order.
pub(crate) fn pieces(write: u64, index: u64, entry: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let chunks = entry.chunks(PIECE - HEADER);
    // No entry is empty, and `encode` bounds it: the count fits.
    let of = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    chunks.zip(0..of).map(move |(bytes, number)| {
        Piece {
            write,
            index,
            number,
            of,
            bytes,
        }
        .write()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_shows() {
        let entry: Vec<u8> = (0..=255).collect();
        let piece = pieces(7, 9, &entry).next().expect("one piece");
        let read = Piece::read(&piece).expect("it is whole");
        let seen = (read.write, read.index, read.number, read.of, read.bytes);
        assert_eq!(seen, (7, 9, 0, 1, entry.as_slice()));
        for bit in 0..piece.len() * 8 {
            let mut damaged = piece.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Piece::read(&damaged), None, "bit {bit}");
        }
        for length in 0..piece.len() {
            assert_eq!(Piece::read(&piece[..length]), None, "cut at {length}");
        }
    }

    #[test]
    fn no_piece_is_longer_than_the_limit() {
        for length in [1, PIECE - HEADER, PIECE - HEADER + 1, 10 * PIECE] {
            let entry = vec![3; length];
            let pieces: Vec<_> = pieces(1, 1, &entry).collect();
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE));
            let joined: Vec<u8> = pieces
                .iter()
                .flat_map(|piece| Piece::read(piece).expect("whole").bytes.to_vec())
                .collect();
            assert_eq!(joined, entry);
        }
    }
}
