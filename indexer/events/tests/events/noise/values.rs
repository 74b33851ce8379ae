//! Single values, in any of the widths that msgpack has for them.

use super::{Noise, WORDS};

impl Noise {
    /// The head of an array or map: of 15 elements, of 2^16, of 2^32; or a lie.
    pub(super) fn head(&mut self, out: &mut Vec<u8>, small: u8, medium: u8, length: usize) {
        let mut length = u32::try_from(length).unwrap();
        if self.once_in(self.odd.saturating_mul(20)) {
            let lies = [length + 1, length.saturating_sub(1), 100, 0xffff, u32::MAX];
            length = lies[self.below(lies.len())];
        }
        let width = match self.below(8) {
            0 => 1,
            1 => 2,
            _ => 0,
        };
        match (width, u8::try_from(length), u16::try_from(length)) {
            (0, Ok(length @ ..=15), _) => out.push(small | length),
            (0 | 1, _, Ok(length)) => {
                out.push(medium);
                out.extend(length.to_be_bytes());
            }
            _ => {
                out.push(medium + 1);
                out.extend(length.to_be_bytes());
            }
        }
    }

    /// A number in any form that can hold it.
    pub(super) fn number(&mut self, out: &mut Vec<u8>, number: i128) {
        let forms: [(u8, i128, i128, usize); 10] = [
            (0x00, 0, 0x7f, 0),
            (0xe0, -32, -1, 0),
            (0xcc, 0, 0xff, 1),
            (0xcd, 0, 0xffff, 2),
            (0xce, 0, 0xffff_ffff, 4),
            (0xcf, 0, u64::MAX.into(), 8),
            (0xd0, -0x80, 0x7f, 1),
            (0xd1, -0x8000, 0x7fff, 2),
            (0xd2, i32::MIN.into(), i32::MAX.into(), 4),
            (0xd3, i64::MIN.into(), i64::MAX.into(), 8),
        ];
        let mut fit = forms
            .iter()
            .filter(|(_, least, most, _)| (*least..=*most).contains(&number));
        // The shortest, as engines do, or any other.
        let skip = self.below(5).saturating_sub(2);
        let shortest = fit.clone().next();
        let Some((marker, _, _, bytes)) = fit.nth(skip).or(shortest) else {
            return out.push(0xc0);
        };
        let encoded = number.to_be_bytes();
        match bytes {
            0 => out.push(encoded[15]),
            _ => {
                out.push(*marker);
                out.extend(&encoded[16 - bytes..]);
            }
        }
    }

    pub(super) fn float(&mut self, out: &mut Vec<u8>) {
        let odd = [f64::NAN, f64::INFINITY, -1.0, 1e300];
        let number = match self.once_in(self.odd) {
            true => odd[self.below(4)],
            false => 1_795_000_000.5 + self.below(1000) as f64 / 7.0,
        };
        if self.below(6) == 0 {
            out.push(0xca);
            #[expect(clippy::cast_possible_truncation, reason = "any float will do")]
            out.extend((number as f32).to_be_bytes());
        } else {
            out.push(0xcb);
            out.extend(number.to_be_bytes());
        }
    }

    pub(super) fn text(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        let length = u8::try_from(text.len()).unwrap();
        match self.below(10) {
            0 => out.extend([0xd9, length]),
            1 => out.extend([0xda, 0, length]),
            2 => out.extend([0xdb, 0, 0, 0, length]),
            _ if length < 32 => out.push(0xa0 | length),
            _ => out.extend([0xd9, length]),
        }
        out.extend(text);
    }

    pub(super) fn text_or_nil(&mut self, out: &mut Vec<u8>) {
        match self.below(4) {
            0 => out.push(0xc0),
            _ => {
                let word = self.any(&WORDS);
                self.text(out, word.as_bytes());
            }
        }
    }

    fn bytes(&mut self, out: &mut Vec<u8>) {
        let length = [0, 1, 7, 8, 9, 16, 32][self.below(7)];
        match self.below(6) {
            0 => out.extend([0xc5, 0, length]),
            1 => out.extend([0xc6, 0, 0, 0, length]),
            _ => out.extend([0xc4, length]),
        }
        (0..length).for_each(|_| out.push(self.next().to_le_bytes()[0]));
    }

    pub(super) fn hash(&mut self, out: &mut Vec<u8>) {
        match self.below(6) {
            0 => self.bytes(out),
            1 => {
                let number = -i128::from(self.next() >> (1 + self.below(60)));
                self.number(out, number);
            }
            2 => {
                let number = i128::from(self.next() >> self.below(60));
                self.number(out, number);
            }
            _ => {
                out.push(0xcf);
                out.extend(self.next().to_be_bytes());
            }
        }
    }

    pub(super) fn tokens(&mut self, out: &mut Vec<u8>) {
        if self.below(10) == 0 {
            return out.push(0xc0);
        }
        let length = self.below(9) + 8 * usize::from(self.below(6) == 0);
        self.head(out, 0x90, 0xdc, length);
        for _ in 0..length {
            if self.once_in(self.odd.saturating_mul(8)) {
                self.anything(out, 1);
                continue;
            }
            let beyond = self.once_in(self.odd.saturating_mul(8));
            let bits = [4, 7, 8, 16, 17, 32][self.below(6)] + usize::from(beyond);
            let number = i128::from(self.next() >> (64 - bits));
            self.number(out, number);
        }
    }

    pub(super) fn extra_keys(&mut self, out: &mut Vec<u8>) {
        if self.below(3) == 0 {
            return out.push(0xc0);
        }
        let blocks = self.below(5);
        self.head(out, 0x90, 0xdc, blocks);
        for _ in 0..blocks {
            let keys = self.below(4);
            if self.below(2) == 0 {
                out.push(0xc0);
                continue;
            }
            self.head(out, 0x90, 0xdc, keys);
            (0..keys).for_each(|_| self.extra_key(out));
        }
    }

    fn extra_key(&mut self, out: &mut Vec<u8>) {
        if self.once_in(self.odd) {
            return self.anything(out, 3);
        }
        let word = self.any(&WORDS).as_bytes();
        let offset = i128::from(self.next() >> (1 + self.below(63))) * [1, -1][self.below(2)];
        match self.below(8) {
            0 => self.bytes(out),
            1 | 2 => {
                self.head(out, 0x90, 0xdc, 2);
                self.text(out, word);
                self.number(out, offset);
            }
            3 => {
                self.head(out, 0x90, 0xdc, 3);
                self.text(out, b"mm");
                self.text(out, word);
                self.number(out, offset);
            }
            4 => {
                self.head(out, 0x90, 0xdc, 3);
                self.text(out, b"lora");
                self.text(out, word);
                self.anything(out, 2);
            }
            5 => {
                self.head(out, 0x90, 0xdc, 2);
                self.text(out, b"cache_salt");
                self.text(out, word);
            }
            6 => {
                self.head(out, 0x90, 0xdc, 2);
                self.text(out, b"prompt_embeds");
                self.bytes(out);
            }
            _ => self.text(out, word),
        }
    }

    /// Any value, of at most so many levels.
    pub(super) fn anything(&mut self, out: &mut Vec<u8>, levels: usize) {
        match self.below(if levels == 0 { 10 } else { 13 }) {
            0 => out.push(0xc0),
            1 => out.push([0xc2, 0xc3][self.below(2)]),
            2 => self.float(out),
            3 => self.text(out, b"\xff\xc1 not UTF-8"),
            4 => self.bytes(out),
            // Extensions, of fixed and of given lengths.
            5 => out.extend([0xd4, 1, 0xc1]),
            6 => out.extend([0xc7, 2, 7, 0xc1, 0xc1]),
            7 if self.once_in(self.odd) => out.push(0xc1),
            7 | 8 => {
                let number = i128::from(self.next() >> self.below(64)) - 200;
                self.number(out, number);
            }
            9 => self.text_or_nil(out),
            10 => {
                let pairs = self.below(3);
                self.head(out, 0x80, 0xde, pairs);
                (0..2 * pairs).for_each(|_| self.anything(out, levels - 1));
            }
            _ => {
                let length = self.below(4);
                self.head(out, 0x90, 0xdc, length);
                (0..length).for_each(|_| self.anything(out, levels - 1));
            }
        }
    }
}
