//! Canonical CBOR (RFC 7049, section 3.9): shortest heads, definite lengths.

use super::sink::{Sink, as_u64, significant};

const UNSIGNED: u8 = 0 << 5;
const NEGATIVE: u8 = 1 << 5;
const BYTES: u8 = 2 << 5;
const TEXT: u8 = 3 << 5;
const ARRAY: u8 = 4 << 5;
const NULL: u8 = 0xf6;
const POSITIVE_BIGNUM: u8 = 0xc2;

/// Appends to a buffer that the caller reuses from block to block.
pub(super) struct Cbor<'a> {
    pub(super) buffer: &'a mut Vec<u8>,
}

impl Cbor<'_> {
    fn head(&mut self, major: u8, argument: u64) {
        let bytes = argument.to_be_bytes();
        let (info, tail) = match argument {
            0..24 => (bytes[7], &bytes[8..]),
            24..0x100 => (24, &bytes[7..]),
            0x100..0x1_0000 => (25, &bytes[6..]),
            0x1_0000..0x1_0000_0000 => (26, &bytes[4..]),
            _ => (27, &bytes[..]),
        };
        self.buffer.push(major | info);
        self.buffer.extend_from_slice(tail);
    }

    fn counted(&mut self, major: u8, content: &[u8]) {
        self.head(major, content.len() as u64);
        self.buffer.extend_from_slice(content);
    }
}

impl Sink for Cbor<'_> {
    fn open(&mut self, length: usize) {
        self.head(ARRAY, length as u64);
    }

    fn close(&mut self, _length: usize) {}

    fn none(&mut self) {
        self.buffer.push(NULL);
    }

    fn int(&mut self, value: i64) {
        if value < 0 {
            self.head(NEGATIVE, !value as u64);
        } else {
            self.head(UNSIGNED, value as u64);
        }
    }

    fn natural(&mut self, big_endian: &[u8]) {
        if let Some(value) = as_u64(big_endian) {
            self.head(UNSIGNED, value);
        } else {
            self.buffer.push(POSITIVE_BIGNUM);
            self.counted(BYTES, significant(big_endian));
        }
    }

    fn text(&mut self, text: &str) {
        self.counted(TEXT, text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.counted(BYTES, bytes);
    }
}
