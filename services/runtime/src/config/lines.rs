//! On which line of a YAML text a setting stands.
//!
//! A parsed tree knows no lines, but the parser adds its position to any
//! error raised inside it. So the text is walked once more, and an error is
//! raised on purpose at the wanted key. Only mistakes pay for that.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::key_path::KeyPath;

/// The 1-based line of the key at `path`, or of the nearest section above it
/// if `or_above`.
pub(super) fn line_of(text: &str, path: &KeyPath, or_above: bool) -> Option<usize> {
    let exact_only = usize::from(!or_above);
    path.with_ancestors()
        .take(if or_above { usize::MAX } else { exact_only })
        .find_map(|candidate| {
            let keys = candidate.keys();
            let deserializer = serde_yaml_ng::Deserializer::from_str(text);
            let stopped = Seek { keys }.deserialize(deserializer).err()?;
            stopped.location().map(|location| location.line())
        })
}

/// Walks to `keys` and stops there with an error; arrives nowhere silently.
struct Seek<'a> {
    keys: &'a [String],
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((wanted, below)) = self.keys.split_first() else {
            return Err(A::Error::custom("here"));
        };
        let stop = below.is_empty();
        while let Some(found) = map.next_key_seed(SeekKey { wanted, stop })? {
            if found {
                map.next_value_seed(Seek { keys: below })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((wanted, below)) = self.keys.split_first() else {
            return Err(A::Error::custom("here"));
        };
        // The walk must reach the end: to stop early is an error to the parser.
        let wanted = wanted.parse::<usize>().unwrap_or(usize::MAX);
        for _ in 0..wanted {
            if list.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        if list.next_element_seed(Seek { keys: below })?.is_some() {
            while list.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.stop_at_scalar()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.stop_at_scalar()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.stop_at_scalar()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.stop_at_scalar()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.stop_at_scalar()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.stop_at_scalar()
    }
}

impl Seek<'_> {
    fn stop_at_scalar<E: Error>(&self) -> Result<(), E> {
        if self.keys.is_empty() {
            return Err(E::custom("here"));
        }
        Ok(())
    }
}

struct SeekKey<'a> {
    wanted: &'a str,
    stop: bool,
}

impl SeekKey<'_> {
    fn compare<E: Error>(&self, seen: &str) -> Result<bool, E> {
        if seen != self.wanted {
            return Ok(false);
        }
        if self.stop {
            return Err(E::custom("here"));
        }
        Ok(true)
    }
}

impl<'de> DeserializeSeed<'de> for SeekKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for SeekKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        self.compare(key)
    }

    fn visit_bool<E: Error>(self, key: bool) -> Result<bool, E> {
        self.compare(&key.to_string())
    }

    fn visit_i64<E: Error>(self, key: i64) -> Result<bool, E> {
        self.compare(&key.to_string())
    }

    fn visit_u64<E: Error>(self, key: u64) -> Result<bool, E> {
        self.compare(&key.to_string())
    }

    fn visit_f64<E: Error>(self, key: f64) -> Result<bool, E> {
        self.compare(&key.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# a comment
a: 1
b:
  c: {d: 4, e: [1, 2]}
  f:
    - x
    - g: |
        b: not a key
      h: 2
z.y: {q: 1}
";

    fn line(path: &str) -> Option<usize> {
        line_of(TEXT, &path.parse().unwrap(), false)
    }

    #[test]
    fn keys_are_found_in_every_style() {
        assert_eq!(line("a"), Some(2));
        assert_eq!(line("b"), Some(3));
        assert_eq!(line("b.c.d"), Some(4));
        assert_eq!(line("b.c.e.1"), Some(4));
        assert_eq!(line("b.f.0"), Some(6));
        assert_eq!(line("b.f.1.h"), Some(9));
        assert_eq!(line("\"z.y\".q"), Some(10));
    }

    #[test]
    fn what_is_absent_has_no_line_but_its_section_has() {
        assert_eq!(line("b.c.x"), None);
        assert_eq!(line("b.f.7"), None);
        assert_eq!(line("a.b"), None);
        let absent = "b.f.x.y".parse().unwrap();
        assert_eq!(line_of(TEXT, &absent, true), Some(5));
    }
}
