//! Chunks: how the bytes of an image lie in a tree.
//!
//! ```text
//!  check LE (8) | generation LE (8) | number LE (4) | bytes
//! ```

use std::io::{self, Read};

use crate::disk::{check, checked};

/// Longest chunk; why not more is said with the log's pieces.
pub(super) const CHUNK: usize = crate::log::PIECE;

const SEED: u64 = 0x6b76_7261_6368_756e;
const HEADER: usize = 20;

/// Bytes of the image in one chunk.
pub(super) const CONTENT: usize = CHUNK - HEADER;

pub(super) fn write(generation: u64, number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + bytes.len());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&generation.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(bytes);
    check::seal(SEED, &mut out);
    out
}

/// Reads the bytes of an image from its chunks.
pub(super) struct ChunkReader<'a> {
    tree: &'a sled::Tree,
    generation: u64,
    next: u32,
    chunks: u32,
    chunk: sled::IVec,
    done: usize,
}

impl<'a> ChunkReader<'a> {
    pub(super) fn new(tree: &'a sled::Tree, generation: u64, chunks: u32) -> Self {
        Self {
            tree,
            generation,
            next: 0,
            chunks,
            chunk: sled::IVec::default(),
            done: 0,
        }
    }

    fn fetch(&mut self) -> Result<(), String> {
        let number = self.next;
        let value = self.tree.get(number.to_be_bytes());
        let value = value.map_err(|error| error.to_string())?;
        let value = value.ok_or_else(|| format!("chunk {number} is missing"))?;
        let rest =
            checked(SEED, &value).ok_or_else(|| format!("the check of chunk {number} is wrong"))?;
        let mut expected = self.generation.to_le_bytes().to_vec();
        expected.extend_from_slice(&number.to_le_bytes());
        if !rest.starts_with(&expected) {
            return Err(format!("chunk {number} belongs to another snapshot"));
        }
        self.chunk = value;
        self.done = HEADER;
        self.next += 1;
        Ok(())
    }
}

impl Read for ChunkReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.done >= self.chunk.len() && self.next < self.chunks {
            self.fetch().map_err(io::Error::other)?;
        }
        let mut left = self.chunk.get(self.done..).unwrap_or_default();
        let count = left.read(out)?;
        self.done += count;
        Ok(count)
    }
}
