//! A 64-bit hash in JSON: signed (Dynamo), unsigned (Mooncake), or text, for
//! languages whose numbers end at 2^53.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// The hash's 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HashNumber(pub(super) u64);

impl<'de> Deserialize<'de> for HashNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HashVisitor)
    }
}

struct HashVisitor;

impl Visitor<'_> for HashVisitor {
    type Value = HashNumber;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a 64-bit hash as a signed or unsigned integer, or as decimal or 0x text")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<HashNumber, E> {
        Ok(HashNumber(value))
    }

    #[expect(clippy::cast_sign_loss, reason = "a hash has no sign, only 64 bits")]
    fn visit_i64<E: Error>(self, value: i64) -> Result<HashNumber, E> {
        Ok(HashNumber(value as u64))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HashNumber, E> {
        let parsed = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text
                .parse()
                .ok()
                .or_else(|| text.parse().ok().map(i64::cast_unsigned)),
        };
        parsed
            .map(HashNumber)
            .ok_or_else(|| E::custom("a hash text is no 64-bit number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_one_hash_are_equal() {
        for text in [
            "18446744073709551614",
            "-2",
            "\"-2\"",
            "\"0xfffffffffffffffe\"",
        ] {
            let hash: HashNumber = serde_json::from_str(text).expect(text);
            assert_eq!(hash, HashNumber(u64::MAX - 1), "{text}");
        }
        for text in [
            "1.5",
            "18446744073709551616",
            "\"x\"",
            "null",
            "\"0x\"",
            "true",
        ] {
            assert!(serde_json::from_str::<HashNumber>(text).is_err(), "{text}");
        }
    }
}
