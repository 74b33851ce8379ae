//! Durations and sizes as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A span of time with its unit: `500ms`, `5s`, `1m30s`, `2h`, `1d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(pub Duration);

/// A number of bytes: `512`, `64KiB`, `64MiB`, `2GiB`, `100MB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// Why a text is not a [`HumanDuration`].
#[derive(Debug, Error, PartialEq, Eq)]
pub enum HumanDurationError {
    /// No number where one is needed, or no unit after it.
    #[error("want a duration with its unit, such as 500ms, 5s, 1m30s or 2h")]
    Form,
    /// A unit that is none.
    #[error("unknown unit {unit:?}; units are us, ms, s, m, h, d")]
    Unit {
        /// The letters seen.
        unit: String,
    },
    /// More than fits (about 584,000 years).
    #[error("too long")]
    TooLong,
}

/// Why a text is not a [`ByteSize`].
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ByteSizeError {
    /// Does not start with a whole number.
    #[error("want a whole number of bytes with its unit, such as 64MiB, 512KiB or 2GiB")]
    Form,
    /// A unit that is none.
    #[error("unknown unit {unit:?}; units are B, KiB, MiB, GiB, TiB, kB, MB, GB, TB")]
    Unit {
        /// The letters seen.
        unit: String,
    },
    /// More than 64 bits.
    #[error("too large")]
    TooLarge,
}

/// Microseconds per unit, largest first.
const DURATION_UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Bytes per unit; the binary ones first, because they are printed.
const SIZE_UNITS: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
    ("", 1),
];

impl HumanDuration {
    /// This many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// This many seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// The same as the standard type.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl ByteSize {
    /// This many times 1,048,576 bytes.
    #[must_use]
    pub const fn mib(count: u32) -> Self {
        Self((count as u64) << 20)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes, at most what this machine can address.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for HumanDuration {
    type Err = HumanDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(HumanDurationError::Form);
        }
        let mut total_micros = 0_u64;
        while !rest.is_empty() {
            let (number, after) = split_at_first(rest, |c| !c.is_ascii_digit());
            let (unit, after) = split_at_first(after, |c| c.is_ascii_digit());
            rest = after;
            if number.is_empty() || unit.is_empty() {
                return Err(HumanDurationError::Form);
            }
            let unit = unit.trim();
            let scale =
                scale_of(&DURATION_UNITS, unit).ok_or_else(|| HumanDurationError::Unit {
                    unit: shortened(unit),
                })?;
            total_micros = number
                .parse::<u64>()
                .ok()
                .and_then(|count| count.checked_mul(scale))
                .and_then(|part| part.checked_add(total_micros))
                .ok_or(HumanDurationError::TooLong)?;
        }
        Ok(Self(Duration::from_micros(total_micros)))
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = split_at_first(text.trim(), |c| !c.is_ascii_digit());
        if number.is_empty() || unit.starts_with(['.', ',']) {
            return Err(ByteSizeError::Form);
        }
        let unit = unit.trim();
        let scale = scale_of(&SIZE_UNITS, unit).ok_or_else(|| ByteSizeError::Unit {
            unit: shortened(unit),
        })?;
        number
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(scale))
            .map(Self)
            .ok_or(ByteSizeError::TooLarge)
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut micros = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        if micros == 0 {
            return f.write_str("0s");
        }
        for (unit, scale) in DURATION_UNITS {
            if micros >= scale {
                write!(f, "{}{unit}", micros / scale)?;
                micros %= scale;
            }
        }
        Ok(())
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = SIZE_UNITS[..4]
            .iter()
            .find(|(_, scale)| self.0 >= *scale && self.0.is_multiple_of(*scale));
        match exact {
            Some((unit, scale)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = HumanDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, such as 500ms, 5s, 1m30s or 2h")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<HumanDuration, E> {
                text.parse()
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, such as 64MiB, 512KiB or 2GiB")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse()
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

fn scale_of(units: &[(&str, u64)], wanted: &str) -> Option<u64> {
    units
        .iter()
        .find(|(unit, _)| *unit == wanted)
        .map(|(_, scale)| *scale)
}

fn split_at_first(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

/// Enough of a foreign text to recognise it.
fn shortened(text: &str) -> String {
    text.chars().take(16).collect()
}

#[cfg(test)]
mod tests;
