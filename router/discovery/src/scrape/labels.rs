//! The labels of one series: `{name="value",...}`.

/// The labels of a line, and what follows them.
pub(super) struct Labels<'a> {
    inner: &'a [u8],
}

impl<'a> Labels<'a> {
    /// Takes the labels off the front of `text`; `None` if they never end.
    pub(super) fn split(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let Some(open) = text.strip_prefix(b"{") else {
            return Some((Self { inner: b"" }, text));
        };
        let mut quoted = false;
        let mut escaped = false;
        for (at, byte) in open.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'}' if !quoted => return Some((Self { inner: &open[..at] }, &open[at + 1..])),
                _ => {}
            }
        }
        None
    }

    /// The value of a label, as it is written; `None` if there is no such label.
    pub(super) fn get(&self, name: &str) -> Option<&'a [u8]> {
        let mut rest = self.inner;
        loop {
            let equals = rest.iter().position(|byte| *byte == b'=')?;
            let here = rest[..equals].trim_ascii();
            let value = rest[equals + 1..].trim_ascii_start().strip_prefix(b"\"")?;
            let end = end_of_value(value)?;
            if here == name.as_bytes() {
                return Some(&value[..end]);
            }
            rest = value[end + 1..].trim_ascii_start();
            rest = rest.strip_prefix(b",").unwrap_or(rest);
        }
    }

    /// The value of a label as a number above 0.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        let text = std::str::from_utf8(self.get(name)?).ok()?;
        text.trim().parse().ok().filter(|number| *number > 0)
    }
}

/// Where the closing quote is.
fn end_of_value(value: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_anything_quoted() {
        let text = br#"{model_name="a}\",engine=\"7",engine="1", block_size = "16" } 3"#;
        let (labels, rest) = Labels::split(text).unwrap();
        assert_eq!(rest, b" 3");
        assert_eq!(labels.get("engine"), Some(&b"1"[..]));
        assert_eq!(labels.number("block_size"), Some(16));
        assert_eq!(labels.get("model"), None);
    }

    #[test]
    fn without_labels_everything_follows() {
        let (labels, rest) = Labels::split(b" 3").unwrap();
        assert_eq!((labels.get("engine"), rest), (None, &b" 3"[..]));
    }

    #[test]
    fn labels_that_never_end_are_no_labels() {
        for text in [&b"{"[..], b"{a=\"}", b"{a=\"\\\"}"] {
            assert!(Labels::split(text).is_none());
        }
        let (labels, _) = Labels::split(b"{a=b,c=\"1\"}").unwrap();
        assert_eq!(labels.get("c"), None);
    }
}
