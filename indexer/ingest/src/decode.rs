//! What can be told of a payload even if it cannot be read.

use proto_model::Timestamp;

use crate::keyed::Keyed;

/// Integer timestamps from here on are milliseconds, as in readable payloads.
const MILLISECONDS_FROM: f64 = 1e11;

/// The message's time; 0 if it is not known. Of a payload that cannot be read,
/// the first number of its array or the time field of its map, as far as the
/// bytes up to there make sense: every ingestor must give the same message the
/// same time, or the state would take one for a restart.
pub(crate) fn timestamp(payload: &[u8], keyed: Option<&Keyed>) -> Timestamp {
    let seconds = match keyed {
        Some(keyed) => return keyed.timestamp,
        None => Bytes(payload).seconds(),
    };
    Timestamp::from_seconds(seconds.unwrap_or(0.0))
}

/// What is left of a msgpack text. Everything is `None` where it ends too early
/// or is not what was asked for.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn seconds(mut self) -> Option<f64> {
        let marker = self.unsigned(1)?;
        if matches!(marker, 0x91..=0x9f | 0xdc | 0xdd) {
            self.take(match marker {
                0xdc => 2,
                0xdd => 4,
                _ => 0,
            })?;
            return self.number();
        }
        let pairs = match marker {
            0x80..=0x8f => marker & 0x0f,
            0xde => self.unsigned(2)?,
            0xdf => self.unsigned(4)?,
            _ => return None,
        };
        // Every pair takes a byte at least, so a false length ends with the bytes.
        for _ in 0..pairs {
            if matches!(self.key()?, b"ts" | b"timestamp") {
                return self.number();
            }
            self.skip()?;
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn unsigned(&mut self, bytes: usize) -> Option<u64> {
        let taken = self.take(bytes)?;
        Some(
            taken
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    }

    fn number(&mut self) -> Option<f64> {
        let integer = match self.unsigned(1)? {
            0xcb => return Some(f64::from_bits(self.unsigned(8)?)),
            0xca => {
                let bits = u32::try_from(self.unsigned(4)?).ok()?;
                return Some(f64::from(f32::from_bits(bits)));
            }
            small @ 0x00..=0x7f => small,
            0xcc => self.unsigned(1)?,
            0xcd => self.unsigned(2)?,
            0xce => self.unsigned(4)?,
            0xcf => self.unsigned(8)?,
            0xd2 => self.unsigned(4).filter(|value| *value < 1 << 31)?,
            0xd3 => self.unsigned(8).filter(|value| *value < 1 << 63)?,
            _ => return None,
        } as f64;
        Some(if integer >= MILLISECONDS_FROM {
            integer / 1e3
        } else {
            integer
        })
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        let length = match self.unsigned(1)? {
            marker @ 0xa0..=0xbf => marker & 0x1f,
            0xd9 => self.unsigned(1)?,
            0xda => self.unsigned(2)?,
            _ => return None,
        };
        self.take(usize::try_from(length).ok()?)
    }

    /// Passes over one value, however deep, without recursion.
    fn skip(&mut self) -> Option<()> {
        let mut values = 1_u64;
        while let Some(left) = values.checked_sub(1) {
            let marker = self.unsigned(1)?;
            let (bytes, inside) = match marker {
                0x80..=0x8f => (0, 2 * (marker & 0x0f)),
                0x90..=0x9f => (0, marker & 0x0f),
                0xa0..=0xbf => (marker & 0x1f, 0),
                0xc1 => return None,
                0xc4 | 0xd9 => (self.unsigned(1)?, 0),
                0xc5 | 0xda => (self.unsigned(2)?, 0),
                0xc6 | 0xdb => (self.unsigned(4)?, 0),
                0xc7 => (self.unsigned(1)? + 1, 0),
                0xc8 => (self.unsigned(2)? + 1, 0),
                0xc9 => (self.unsigned(4)? + 1, 0),
                0xcc | 0xd0 => (1, 0),
                0xcd | 0xd1 | 0xd4 => (2, 0),
                0xd5 => (3, 0),
                0xca | 0xce | 0xd2 => (4, 0),
                0xd6 => (5, 0),
                0xcb | 0xcf | 0xd3 => (8, 0),
                0xd7 => (9, 0),
                0xd8 => (17, 0),
                0xdc => (0, self.unsigned(2)?),
                0xdd => (0, self.unsigned(4)?),
                0xde => (0, 2 * self.unsigned(2)?),
                0xdf => (0, 2 * self.unsigned(4)?),
                _ => (0, 0),
            };
            self.take(usize::try_from(bytes).ok()?)?;
            values = left.saturating_add(inside);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_payload_keeps_its_time() {
        let mut payload = vec![0x93, 0xcb];
        payload.extend_from_slice(&1.5_f64.to_be_bytes());
        payload.push(0xc1);
        assert_eq!(timestamp(&payload, None), Timestamp(1_500_000));
        assert_eq!(timestamp(&payload[..5], None), Timestamp(0));
        assert_eq!(timestamp(b"", None), Timestamp(0));
    }

    #[test]
    fn integers_and_maps_keep_their_time_too() {
        let seconds = |payload: &[u8]| timestamp(payload, None).0 / 1_000_000;
        assert_eq!(seconds(b"\x92\xce\x65\x53\xf1\x00\xc1"), 1_700_000_000);
        assert_eq!(
            seconds(b"\x92\xcf\x00\x00\x01\x8b\xcf\xe5\x68\x00\xc1"),
            1_700_000_000,
            "milliseconds"
        );
        assert_eq!(seconds(b"\xdc\x00\x02\x07\xc1"), 7);
        assert_eq!(seconds(b"\x82\xa2ts\x07\xa6events\xa1x"), 7);
        let later = b"\x82\xa6events\x92\x81\xa1a\xc4\x02zz\xc0\xa9timestamp\x07";
        assert_eq!(seconds(later), 7);
    }

    #[test]
    fn what_makes_no_sense_has_no_time() {
        let payloads: [&[u8]; 7] = [
            b"\xc1",
            b"\x90",
            b"\x92\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
            b"\x92\xd2\xff\xff\xff\xff",
            b"\xdf\xff\xff\xff\xff",
            b"\x82\xa1e\xdf\xff\xff\xff\xff\xa2ts\x07",
            b"\x82\xa1e\xc1\xa2ts\x07",
        ];
        for payload in payloads {
            assert_eq!(timestamp(payload, None), Timestamp(0), "{payload:02x?}");
        }
    }
}
