//! Pickle protocol 5 of one value, as CPython's C pickler writes it.
//!
//! Every `str`, `bytes` and non-empty tuple enters the memo, and an *object*
//! that comes a second time is a reference to it. Identity cannot be seen from
//! outside; equal texts are taken to be one object, which is what vLLM's own
//! code makes of the same image twice in a block and of its literal tags.
//!
//! A payload of 64 KiB and more is cut into several frames by CPython; that
//! takes a block of more than 13,000 tokens or a salt of that length, and such
//! a block gets another hash here.

use super::sink::{Sink, as_u64, significant};

const HEADER: [u8; 3] = [0x80, 0x05, 0x95];
const FRAME_LENGTH: std::ops::Range<usize> = 3..11;
const MARK: u8 = b'(';
const TUPLE: [u8; 4] = [b't', 0x85, 0x86, 0x87];
const MEMOIZE: u8 = 0x94;
const NONE: u8 = b'N';
const STOP: u8 = b'.';

/// A text that has been written, by its place in the buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memo {
    start: usize,
    end: usize,
    index: u32,
}

/// Appends to buffers that the caller reuses from block to block.
pub(super) struct Pickle<'a> {
    buffer: &'a mut Vec<u8>,
    texts: &'a mut Vec<Memo>,
    memoized: u32,
}

impl<'a> Pickle<'a> {
    /// Begins a pickle; both buffers are emptied.
    pub(super) fn begin(buffer: &'a mut Vec<u8>, texts: &'a mut Vec<Memo>) -> Self {
        buffer.clear();
        texts.clear();
        buffer.extend_from_slice(&HEADER);
        buffer.extend_from_slice(&[0; 8]);
        Self {
            buffer,
            texts,
            memoized: 0,
        }
    }

    /// Ends the pickle: the buffer then holds all of it.
    pub(super) fn finish(self) {
        self.buffer.push(STOP);
        let length = (self.buffer.len() - FRAME_LENGTH.end) as u64;
        self.buffer[FRAME_LENGTH].copy_from_slice(&length.to_le_bytes());
    }

    fn memoize(&mut self) -> u32 {
        self.buffer.push(MEMOIZE);
        self.memoized += 1;
        self.memoized - 1
    }

    fn counted(&mut self, short: u8, long: u8, content: &[u8]) {
        if let Ok(length) = u8::try_from(content.len()) {
            self.buffer.extend_from_slice(&[short, length]);
        } else {
            let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
            self.buffer.push(long);
            self.buffer.extend_from_slice(&length.to_le_bytes());
        }
        self.buffer.extend_from_slice(content);
    }

    fn recall(&mut self, index: u32) {
        if let Ok(index) = u8::try_from(index) {
            self.buffer.extend_from_slice(&[b'h', index]);
        } else {
            self.buffer.push(b'j');
            self.buffer.extend_from_slice(&index.to_le_bytes());
        }
    }

    /// `LONG1`: little-endian two's complement of a non-negative number.
    fn long(&mut self, digits: &[u8]) {
        let sign = usize::from(digits.first().is_some_and(|byte| *byte >= 0x80));
        let length = u8::try_from(digits.len() + sign).unwrap_or(u8::MAX);
        self.buffer.extend_from_slice(&[0x8a, length]);
        self.buffer.extend(digits.iter().rev());
        self.buffer.extend(std::iter::repeat_n(0, sign));
    }
}

impl Sink for Pickle<'_> {
    fn open(&mut self, length: usize) {
        if length > 3 {
            self.buffer.push(MARK);
        }
    }

    fn close(&mut self, length: usize) {
        self.buffer
            .push(TUPLE.get(length).copied().unwrap_or(TUPLE[0]));
        self.memoize();
    }

    fn none(&mut self) {
        self.buffer.push(NONE);
    }

    fn int(&mut self, value: i64) {
        if let Ok(byte) = u8::try_from(value) {
            self.buffer.extend_from_slice(&[b'K', byte]);
        } else if let Ok(short) = u16::try_from(value) {
            self.buffer.push(b'M');
            self.buffer.extend_from_slice(&short.to_le_bytes());
        } else if let Ok(int) = i32::try_from(value) {
            self.buffer.push(b'J');
            self.buffer.extend_from_slice(&int.to_le_bytes());
        } else if value >= 0 {
            self.long(significant(&value.to_be_bytes()));
        } else {
            let bytes = value.to_le_bytes();
            // Only as many bytes as keep the sign.
            let spare = (1..8)
                .rev()
                .take_while(|i| bytes[*i] == 0xff && bytes[i - 1] >= 0x80)
                .count();
            self.buffer.extend_from_slice(&[0x8a, 8 - spare as u8]);
            self.buffer.extend_from_slice(&bytes[..8 - spare]);
        }
    }

    fn natural(&mut self, big_endian: &[u8]) {
        match as_u64(big_endian).map(i64::try_from) {
            Some(Ok(value)) => self.int(value),
            _ => self.long(significant(big_endian)),
        }
    }

    fn text(&mut self, text: &str) {
        let same = |memo: &&Memo| &self.buffer[memo.start..memo.end] == text.as_bytes();
        if let Some(index) = self.texts.iter().find(same).map(|memo| memo.index) {
            self.recall(index);
            return;
        }
        self.counted(0x8c, b'X', text.as_bytes());
        let end = self.buffer.len();
        let index = self.memoize();
        self.texts.push(Memo {
            start: end - text.len(),
            end,
            index,
        });
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.counted(b'C', b'B', bytes);
        self.memoize();
    }
}
