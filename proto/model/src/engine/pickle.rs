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

use super::packed::{self, Packed};
use super::sink::{Sink, as_u64, significant};
use crate::TokenId;

const HEADER: [u8; 3] = [0x80, 0x05, 0x95];
const FRAME_LENGTH: std::ops::Range<usize> = 3..11;
const MARK: u8 = b'(';
const EMPTY_TUPLE: u8 = b')';
const TUPLE: u8 = b't';
const SHORT_TUPLES: [u8; 3] = [0x85, 0x86, 0x87];
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

/// `BININT1`, `BININT2` or `BININT`: one, two or four bytes, the lowest first.
#[inline]
fn small(value: TokenId) -> Packed {
    let (two, four) = (u32::from(value >= 0x100), u32::from(value >= 0x1_0000));
    let code = match (two, four) {
        (_, 1) => b'J',
        (1, _) => b'M',
        _ => b'K',
    };
    Packed {
        bytes: u64::from(code) | u64::from(value) << 8,
        length: (2 + two + 2 * four) as usize,
    }
}

impl Sink for Pickle<'_> {
    fn open(&mut self, length: usize) {
        if length > 3 {
            self.buffer.push(MARK);
        }
    }

    fn close(&mut self, length: usize) {
        if length == 0 {
            self.buffer.push(EMPTY_TUPLE);
            return;
        }
        self.buffer
            .push(SHORT_TUPLES.get(length - 1).copied().unwrap_or(TUPLE));
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

    fn tokens(&mut self, tokens: &[TokenId]) {
        let bits = tokens.iter().fold(0, |bits, token| bits | token);
        // What an `i32` does not hold has a form of its own, and no engine has so
        // many tokens.
        if i32::try_from(bits).is_err() {
            tokens.iter().for_each(|token| self.int(i64::from(*token)));
        } else {
            packed::append(self.buffer, tokens, small);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sink::testing::{Py, write};

    fn pickled(value: &Py) -> String {
        let (mut buffer, mut texts) = (vec![1], Vec::new());
        let mut pickle = Pickle::begin(&mut buffer, &mut texts);
        write(&mut pickle, value);
        pickle.finish();
        hex::encode(buffer)
    }

    /// Written down from CPython 3.12.1, `pickle.dumps(value, 5).hex()`.
    #[test]
    fn as_cpython_pickles() {
        use Py::{Bytes, Int, Natural, None, Text, Tuple};
        let text = |text: &str| Text(text.to_owned());
        let ints = |ints: &[i64]| Tuple(ints.iter().map(|int| Int(*int)).collect());
        let mut big = vec![0x80];
        big.extend([0; 30]);
        big.push(7);
        let cases = [
            (
                Tuple(vec![
                    Bytes(b"pp".to_vec()),
                    ints(&[1]),
                    Tuple(vec![text("x"), text("ababab"), text("ababab")]),
                ]),
                "8005951d0000000000000043027070944b0185948c0178948c06616261626162946803879487942e",
            ),
            (
                Tuple(vec![
                    Bytes(b"p".to_vec()),
                    ints(&[1, 2, 3, 4]),
                    Tuple(vec![
                        Tuple(vec![text("mm"), text("y"), Int(-3)]),
                        Tuple(vec![text("mm"), text("z"), Int(70_000)]),
                    ]),
                ]),
                "800595310000000000000043017094284b014b024b034b0474948c026d6d948c0179944afdffffff87\
                 9468028c017a944a701101008794869487942e",
            ),
            (
                Tuple(vec![
                    Natural(big),
                    ints(&[
                        255,
                        256,
                        65_535,
                        65_536,
                        (1 << 31) - 1,
                        1 << 31,
                        (1 << 32) - 1,
                    ]),
                    None,
                ]),
                "8005954a000000000000008a2107000000000000000000000000000000000000000000000000000000\
                 0000008000284bff4d00014dffff4a000001004affffff7f8a0500000080008a05ffffffff0074944e\
                 87942e",
            ),
            (
                Tuple(vec![
                    Int(-5),
                    ints(&[-(1 << 31), -(1 << 31) - 1, -(1 << 39), -(1 << 39) - 1]),
                    None,
                ]),
                "80059527000000000000004afbffffff284a000000808a05ffffff7fff8a0500000000808a06ffffff\
                 ff7fff74944e87942e",
            ),
            (Tuple(vec![]), "8005292e"),
        ];
        for (value, expected) in cases {
            // Python frames only payloads of four bytes or more; every block is longer.
            let found = pickled(&value).replace("95020000000000000029", "29");
            assert_eq!(found, expected, "{value:?}");
        }
    }

    #[test]
    fn tokens_are_ints_of_every_length() {
        let small: Vec<u32> = vec![0, 255, 256, 65_535, 65_536, (1 << 31) - 1];
        let large = [small.as_slice(), &[1 << 31, u32::MAX]].concat();
        for tokens in [small, large, Vec::new()] {
            let write = |each: bool| {
                let (mut buffer, mut texts) = (Vec::new(), Vec::new());
                let mut pickle = Pickle::begin(&mut buffer, &mut texts);
                match each {
                    true => tokens.iter().for_each(|id| pickle.int(i64::from(*id))),
                    false => pickle.tokens(&tokens),
                }
                pickle.finish();
                hex::encode(buffer)
            };
            assert_eq!(write(false), write(true), "{tokens:?}");
        }
    }

    #[test]
    fn long_texts_and_bytes_have_four_byte_lengths() {
        let value = Py::Tuple(vec![
            Py::Bytes(vec![b'q'; 300]),
            Py::Tuple(vec![Py::Text("s".repeat(256)), Py::Text("é".to_owned())]),
            Py::Bytes(Vec::new()),
        ]);
        let expected = format!(
            "80059545020000000000004 22c010000{}945800010000{}948c02c3a994869443009487942e",
            "71".repeat(300),
            "73".repeat(256)
        );
        assert_eq!(pickled(&value), expected.replace(' ', ""));
    }
}
