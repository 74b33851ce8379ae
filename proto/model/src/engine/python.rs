//! CPython's `hash()`, as version 3.12 and later compute it on 64-bit machines.
//!
//! Ints hash to themselves modulo 2^61 - 1, texts by SipHash-1-3 with a key that
//! `PYTHONHASHSEED` fixes, tuples by xxHash-like mixing of their elements'
//! hashes. `None` has had a constant hash only since 3.12: before, it was the
//! object's address, and no outsider can know the hash of any block.

use super::sink::Sink;

const MODULUS: u64 = (1 << 61) - 1;
const NONE_HASH: i64 = 0xfca8_6420;

const PRIME_1: u64 = 11_400_714_785_074_694_791;
const PRIME_2: u64 = 14_029_467_366_897_019_727;
const PRIME_5: u64 = 2_870_177_450_012_600_261;

/// The key of a process's text hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HashSecret {
    key: [u64; 2],
}

impl HashSecret {
    /// What CPython derives from a numeric `PYTHONHASHSEED`; 0 is no key at all.
    pub(super) fn from_seed(seed: u32) -> Self {
        if seed == 0 {
            return Self { key: [0; 2] };
        }
        let mut state = seed;
        let mut word = || {
            let mut bytes = [0_u8; 8];
            for byte in &mut bytes {
                state = state.wrapping_mul(214_013).wrapping_add(2_531_011);
                *byte = (state >> 16) as u8;
            }
            u64::from_le_bytes(bytes)
        };
        Self {
            key: [word(), word()],
        }
    }

    /// `hash(text)`: SipHash-1-3 of the text as CPython stores it, in one, two
    /// or four bytes per character, whichever the widest needs.
    pub(super) fn text(self, text: &str) -> i64 {
        let Some(widest) = text.chars().max() else {
            return 0;
        };
        let mut sip = Sip13::new(self.key);
        for character in text.chars() {
            let bytes = u32::from(character).to_le_bytes();
            match u32::from(widest) {
                0..0x100 => sip.write(&bytes[..1]),
                0x100..0x1_0000 => sip.write(&bytes[..2]),
                _ => sip.write(&bytes),
            }
        }
        never_minus_one(sip.finish() as i64)
    }
}

/// SipHash-1-3, bytewise.
struct Sip13 {
    v: [u64; 4],
    tail: u64,
    length: u64,
}

impl Sip13 {
    fn new([k0, k1]: [u64; 2]) -> Self {
        let v = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        Self {
            v,
            tail: 0,
            length: 0,
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.tail |= u64::from(*byte) << (8 * (self.length % 8));
            self.length += 1;
            if self.length.is_multiple_of(8) {
                self.word(self.tail);
                self.tail = 0;
            }
        }
    }

    fn word(&mut self, word: u64) {
        self.v[3] ^= word;
        self.round();
        self.v[0] ^= word;
    }

    fn finish(mut self) -> u64 {
        self.word(self.tail | self.length << 56);
        self.v[2] ^= 0xff;
        for _ in 0..3 {
            self.round();
        }
        self.v.into_iter().fold(0, |all, word| all ^ word)
    }

    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.v;
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32).wrapping_add(d);
        c = c.wrapping_add(b);
        d = d.rotate_left(21) ^ a;
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.v = [a, b, c, d];
    }
}

/// -1 means an error in C, so no object has that hash.
fn never_minus_one(hash: i64) -> i64 {
    if hash == -1 { -2 } else { hash }
}

/// `hash(value)` of an int.
fn int(value: i64) -> i64 {
    let reduced = (value.unsigned_abs() % MODULUS) as i64;
    never_minus_one(if value < 0 { -reduced } else { reduced })
}

/// Hashes one value; open tuples lie on a stack that the caller reuses.
pub(super) struct Python<'a> {
    secret: HashSecret,
    open: &'a mut Vec<u64>,
    result: i64,
}

impl<'a> Python<'a> {
    /// Begins a value; the stack is emptied.
    pub(super) fn begin(secret: HashSecret, open: &'a mut Vec<u64>) -> Self {
        open.clear();
        Self {
            secret,
            open,
            result: 0,
        }
    }

    /// The hash of the last value that was not inside another.
    pub(super) fn finish(self) -> i64 {
        self.result
    }

    fn add(&mut self, hash: i64) {
        match self.open.last_mut() {
            None => self.result = hash,
            Some(lanes) => {
                let mixed = lanes.wrapping_add((hash as u64).wrapping_mul(PRIME_2));
                *lanes = mixed.rotate_left(31).wrapping_mul(PRIME_1);
            }
        }
    }
}

impl Sink for Python<'_> {
    fn open(&mut self, _length: usize) {
        self.open.push(PRIME_5);
    }

    fn close(&mut self, length: usize) {
        let lanes = self.open.pop().unwrap_or(PRIME_5);
        let hash = lanes.wrapping_add(length as u64 ^ PRIME_5 ^ 3_527_539);
        self.add(if hash == u64::MAX {
            1_546_275_796
        } else {
            hash as i64
        });
    }

    fn none(&mut self) {
        self.add(NONE_HASH);
    }

    fn int(&mut self, value: i64) {
        self.add(int(value));
    }

    fn natural(&mut self, big_endian: &[u8]) {
        let step = |rest: u128, byte: &u8| (rest << 8 | u128::from(*byte)) % u128::from(MODULUS);
        self.add(big_endian.iter().fold(0, step) as i64);
    }

    fn text(&mut self, text: &str) {
        self.add(self.secret.text(text));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        // `bytes` hash like a one-byte-per-character text.
        let mut sip = Sip13::new(self.secret.key);
        sip.write(bytes);
        let hash = if bytes.is_empty() {
            0
        } else {
            sip.finish() as i64
        };
        self.add(never_minus_one(hash));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sink::testing::{Py, write};

    fn hash(seed: u32, value: &Py) -> i64 {
        let mut open = Vec::new();
        let mut python = Python::begin(HashSecret::from_seed(seed), &mut open);
        write(&mut python, value);
        python.finish()
    }

    /// Written down from CPython 3.12.1 with PYTHONHASHSEED=42.
    #[test]
    fn as_cpython_hashes() {
        use Py::{Bytes, Int, Natural, None, Text, Tuple};
        let text = |text: &str| Text(text.to_owned());
        let mut big = vec![0x80];
        big.extend([0; 30]);
        big.push(7);
        let nested = Tuple(vec![Int(2), text("x"), None]);
        let cases = [
            (text("abc"), 3_869_580_338_025_362_921),
            (text("é"), 5_653_850_369_683_463_245),
            (text("租户"), 4_946_123_232_337_771_354),
            (text("租户-é-😀"), 6_923_395_569_579_972_884),
            (text(""), 0),
            (text("tenant-A"), -3_746_120_738_111_171_347),
            (None, 4_238_894_112),
            (Int(-1), -2),
            (Int((1 << 61) - 2), (1 << 61) - 2),
            (Int((1 << 61) - 1), 0),
            (Int(1 << 61), 1),
            (Int(i64::MIN), -4),
            (Int(i64::MAX), 3),
            (Natural(big), 2055),
            (Tuple(vec![]), 5_740_354_900_026_072_187),
            (Tuple(vec![Int(1)]), -6_644_214_454_873_602_895),
            (
                Tuple(vec![Int(1), nested, Int(-1)]),
                -5_862_337_767_659_212_001,
            ),
            (Bytes(b"abc".to_vec()), 3_869_580_338_025_362_921),
            (Bytes(vec![]), 0),
        ];
        for (value, expected) in cases {
            assert_eq!(hash(42, &value), expected, "{value:?}");
        }
        assert_eq!(hash(0, &text("42")), -5_657_151_832_634_087_103);
    }
}
