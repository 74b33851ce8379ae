//! A long list of token ids in a JSON body.
//!
//! A prompt of some thousand ids is nearly all of its body, and a general parser
//! takes longer to read it than the index to answer. Here the list is found and
//! read by blocks; what is left of the body, which is short, goes to the general
//! parser. Whatever looks unusual is left to that parser as a whole, so
//! that no body means anything else here than there.

mod blocks;

use std::ops::Range;

/// A list, and where in the body it stands, brackets included.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TokenList {
    pub(super) ids: Vec<u32>,
    pub(super) place: Range<usize>,
}

/// Finds the member `field` of the body's object, if it is a list of 32-bit numbers
/// written the plain way. What comes after the list is not looked at.
pub(super) fn find(body: &[u8], field: &str) -> Option<TokenList> {
    let mut reader = Reader { body, at: 0 };
    reader.expect(b'{')?;
    loop {
        let name = reader.plain_string()?;
        reader.expect(b':')?;
        reader.skip_blanks();
        if name == field.as_bytes() {
            let start = reader.at;
            let ids = reader.list()?;
            let place = start..reader.at;
            return Some(TokenList { ids, place });
        }
        reader.skip_value()?;
        reader.expect(b',')?;
    }
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Goes past blanks and this byte.
    fn expect(&mut self, wanted: u8) -> Option<()> {
        self.skip_blanks();
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// The bytes of a string without escapes.
    fn plain_string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let rest = self.body.get(self.at..)?;
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        (rest[length] == b'"').then(|| {
            self.at += length + 1;
            &rest[..length]
        })
    }

    /// Goes past a string, number, truth value or null; what is nested is left to
    /// the general parser.
    fn skip_value(&mut self) -> Option<()> {
        if self.peek()? == b'"' {
            return self.plain_string().map(|_| ());
        }
        while let Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'+' | b'.') = self.peek() {
            self.at += 1;
        }
        Some(())
    }

    fn list(&mut self) -> Option<Vec<u32>> {
        self.expect(b'[')?;
        self.skip_blanks();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(Vec::new());
        }
        // Ids of five digits and their commas; a list of shorter ones grows.
        let mut ids = Vec::with_capacity((self.body.len() - self.at) / 6 + 1);
        self.at = blocks::read(self.body, self.at, &mut ids);
        loop {
            ids.push(self.number()?);
            if self.peek()? == b',' {
                self.at += 1;
                if self.peek()? == b' ' {
                    self.at += 1;
                }
                continue;
            }
            self.skip_blanks();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Some(ids);
                }
                _ => return None,
            }
            self.skip_blanks();
        }
    }

    /// A number; of several digits, the first is not 0.
    fn number(&mut self) -> Option<u32> {
        let (value, digits) = self.digits()?;
        let padded = digits > 1 && self.peek()? == b'0';
        if digits == 0 || padded {
            return None;
        }
        self.at += digits;
        Some(value)
    }

    /// A number digit by digit, and how many they are.
    fn digits(&self) -> Option<(u32, usize)> {
        let rest = &self.body[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        let mut value = 0_u32;
        let mut count = 0;
        for digit in digits {
            value = value
                .checked_mul(10)?
                .checked_add(u32::from(digit - b'0'))?;
            count += 1;
        }
        Some((value, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(body: &str) -> Option<Vec<u32>> {
        find(body.as_bytes(), "token_ids").map(|list| list.ids)
    }

    #[test]
    fn numbers_of_every_length_are_read() {
        let edges = (0..10).flat_map(|power| {
            let ten = 10_u64.pow(power);
            [ten - 1, ten, ten + 1, 9 * ten, ten * 42 / 10]
        });
        let mut ids: Vec<u32> = edges.filter_map(|id| u32::try_from(id).ok()).collect();
        ids.extend([u32::MAX, u32::MAX - 1, 7, 0]);
        for gap in [",", ", ", " ,\n\t"] {
            let texts: Vec<String> = ids.iter().map(u32::to_string).collect();
            let body = format!("{{\"model\": \"m\",\"token_ids\":[{}]}}", texts.join(gap));
            assert_eq!(list(&body).as_ref(), Some(&ids), "{body}");
            // The last number stands at the very end of what is there.
            let cut = &body[..body.len() - 1];
            assert_eq!(list(cut).as_ref(), Some(&ids));
        }
    }

    #[test]
    fn the_place_is_that_of_the_list() {
        let body = "{\"a\":-1.5e3, \"b\":null,\n\"token_ids\": [1, 2] , \"c\":[3]}";
        let found = find(body.as_bytes(), "token_ids").unwrap();
        assert_eq!(&body[found.place], "[1, 2]");
        assert_eq!(list("{\"token_ids\":[ ]}"), Some(vec![]));
    }

    #[test]
    fn what_is_unusual_is_left_alone() {
        for body in [
            "",
            "[]",
            "{}",
            "{\"token_ids\":[1",
            "{\"token_ids\":[1,]}",
            "{\"token_ids\":[,1]}",
            "{\"token_ids\":[01]}",
            "{\"token_ids\":[1 2]}",
            "{\"token_ids\":[-1]}",
            "{\"token_ids\":[1.0]}",
            "{\"token_ids\":[1e3]}",
            "{\"token_ids\":[4294967296]}",
            "{\"token_ids\":[99999999999]}",
            "{\"token_ids\":[null]}",
            "{\"token_ids\":[[1]]}",
            "{\"token_ids\":null}",
            "{\"token\\u005fids\":[1]}",
            "{\"x\":{\"token_ids\":[1]}}",
            "{\"x\":\"a\\\"\",\"token_ids\":[1]}",
            "{\"x\":\"token_ids\"}",
        ] {
            assert_eq!(list(body), None, "{body}");
        }
    }
}
