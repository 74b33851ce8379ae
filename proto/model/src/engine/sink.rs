//! The few kinds of Python value that a block's tuple is made of.

use crate::TokenId;

/// Receives a Python value, part by part, and turns it into bytes or a hash.
///
/// A tuple is `open(n)`, its `n` elements, `close(n)`.
pub(super) trait Sink {
    /// A tuple of `length` elements begins.
    fn open(&mut self, length: usize);
    /// The innermost open tuple, of `length` elements, ends.
    fn close(&mut self, length: usize);
    /// `None`.
    fn none(&mut self);
    /// An `int`.
    fn int(&mut self, value: i64);
    /// One `int` per token.
    fn tokens(&mut self, tokens: &[TokenId]) {
        tokens.iter().for_each(|token| self.int(i64::from(*token)));
    }
    /// A non-negative `int` of any size, most significant byte first.
    fn natural(&mut self, big_endian: &[u8]);
    /// A `str`.
    fn text(&mut self, text: &str);
    /// A `bytes`.
    fn bytes(&mut self, bytes: &[u8]);
}

/// A Python value that can describe itself.
pub(super) trait Value {
    /// Writes the value, whole.
    fn write<S: Sink>(&self, sink: &mut S);
}

/// Without the leading zeros.
pub(super) fn significant(big_endian: &[u8]) -> &[u8] {
    let zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
    &big_endian[zeros..]
}

/// As a 64-bit number, if it is one.
pub(super) fn as_u64(big_endian: &[u8]) -> Option<u64> {
    let digits = significant(big_endian);
    (digits.len() <= 8).then(|| {
        digits
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    })
}

/// Python values for the encodings' tests.
#[cfg(test)]
pub(super) mod testing {
    use super::Sink;

    #[derive(Debug, Clone)]
    pub(in crate::engine) enum Py {
        None,
        Int(i64),
        Natural(Vec<u8>),
        Text(String),
        Bytes(Vec<u8>),
        Tuple(Vec<Py>),
    }

    pub(in crate::engine) fn write<S: Sink>(sink: &mut S, value: &Py) {
        match value {
            Py::None => sink.none(),
            Py::Int(int) => sink.int(*int),
            Py::Natural(digits) => sink.natural(digits),
            Py::Text(text) => sink.text(text),
            Py::Bytes(bytes) => sink.bytes(bytes),
            Py::Tuple(items) => {
                sink.open(items.len());
                items.iter().for_each(|item| write(sink, item));
                sink.close(items.len());
            }
        }
    }
}
