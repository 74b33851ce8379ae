//! Canonical CBOR (RFC 7049, section 3.9): shortest heads, definite lengths.

use super::packed::{self, Packed};
use super::sink::{Sink, as_u64, significant};
use crate::TokenId;

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
        // Nearly all heads of a block: nothing follows that would have to be copied.
        if argument < 24 {
            return self.buffer.push(major | bytes[7]);
        }
        let (info, tail) = match argument {
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

/// A head of major type 0 with its argument: none, one, two or four bytes, the
/// highest first.
#[inline]
fn unsigned(value: TokenId) -> Packed {
    // The only numbers whose form does not follow from how many bits they have, and
    // no text has many tokens of them.
    if (24..32).contains(&value) {
        return Packed {
            bytes: 24 | u64::from(value) << 8,
            length: 2,
        };
    }
    let Form {
        head,
        shift,
        length,
    } = FORMS[(TokenId::BITS - value.leading_zeros()) as usize];
    // The argument behind a byte for the head, without its leading zeros; a number
    // that is its own head moves into that byte.
    let argument = u64::from(value.swap_bytes()) << 8 >> shift;
    Packed {
        bytes: argument | u64::from(head),
        length: usize::from(length),
    }
}

/// How a number is written.
#[derive(Clone, Copy)]
struct Form {
    /// The head's byte, 0 if the number itself is it.
    head: u8,
    /// Bits of its four bytes that are left out.
    shift: u8,
    /// Bytes, the head among them.
    length: u8,
}

/// By the number's bits.
const FORMS: [Form; TokenId::BITS as usize + 1] = {
    let mut forms = [Form::new(0, 32, 1); TokenId::BITS as usize + 1];
    let mut bits = 6;
    while bits < forms.len() {
        forms[bits] = match bits {
            ..=8 => Form::new(24, 24, 2),
            9..=16 => Form::new(25, 16, 3),
            _ => Form::new(26, 0, 5),
        };
        bits += 1;
    }
    forms
};

impl Form {
    const fn new(head: u8, shift: u8, length: u8) -> Self {
        Self {
            head,
            shift,
            length,
        }
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

    fn tokens(&mut self, tokens: &[TokenId]) {
        packed::append(self.buffer, tokens, unsigned);
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

#[cfg(test)]
mod tests {
    use ciborium::Value;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::sink::testing::{Py, write};

    fn values() -> impl Strategy<Value = Py> {
        let edges = prop::sample::select(vec![
            0,
            23,
            24,
            255,
            256,
            65_535,
            65_536,
            u32::MAX.into(),
            1 << 32,
            i64::MAX,
            -1,
            -24,
            -25,
            i64::MIN,
        ]);
        let leaf = prop_oneof![
            Just(Py::None),
            prop_oneof![edges, any::<i64>(), 0..200_000_i64].prop_map(Py::Int),
            prop::collection::vec(any::<u8>(), 0..16).prop_map(Py::Natural),
            any::<String>().prop_map(Py::Text),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Py::Bytes),
        ];
        leaf.prop_recursive(3, 64, 40, |inner| {
            prop::collection::vec(inner, 0..40).prop_map(Py::Tuple)
        })
    }

    fn model(value: &Py) -> Value {
        let number = |digits: &Vec<u8>| {
            digits
                .iter()
                .fold(0_u128, |number, digit| number << 8 | u128::from(*digit))
        };
        match value {
            Py::None => Value::Null,
            Py::Int(int) => Value::from(*int),
            Py::Natural(digits) => Value::from(number(digits)),
            Py::Text(text) => Value::Text(text.clone()),
            Py::Bytes(bytes) => Value::Bytes(bytes.clone()),
            Py::Tuple(items) => Value::Array(items.iter().map(model).collect()),
        }
    }

    #[test]
    fn tokens_are_ints_of_every_length() {
        let edges = [
            0,
            23,
            24,
            32,
            64,
            255,
            256,
            65_535,
            65_536,
            1 << 24,
            u32::MAX,
        ];
        let near = edges
            .iter()
            .flat_map(|edge: &u32| [edge.saturating_sub(1), *edge, edge.saturating_add(1)]);
        let tokens: Vec<u32> = near.collect();
        let (mut together, mut singly) = (vec![7], vec![7]);
        Cbor {
            buffer: &mut together,
        }
        .tokens(&tokens);
        for token in &tokens {
            Cbor {
                buffer: &mut singly,
            }
            .int(i64::from(*token));
        }
        assert_eq!(hex::encode(together), hex::encode(singly));
    }

    proptest! {
        #[test]
        fn as_an_independent_encoder_writes_it(value in values()) {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            write(&mut Cbor { buffer: &mut ours }, &value);
            ciborium::into_writer(&model(&value), &mut theirs).unwrap();
            prop_assert_eq!(hex::encode(ours), hex::encode(theirs));
        }
    }
}
