//! Python's idea of white space and line ends.

/// `str.isspace` of one character: Unicode's white space and the four
/// information separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

pub(super) fn lstrip(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

pub(super) fn rstrip(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// `str.split()` with white space and at most `limit` splits.
pub(super) fn split_space(text: &str, limit: Option<usize>) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = lstrip(text);
    while !rest.is_empty() {
        if limit.is_some_and(|limit| words.len() >= limit) {
            words.push(rstrip(rest));
            break;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        words.push(&rest[..end]);
        rest = lstrip(&rest[end..]);
    }
    words
}

/// `str.rsplit()` with white space and at most `limit` splits.
pub(super) fn rsplit_space(text: &str, limit: Option<usize>) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = rstrip(text);
    while !rest.is_empty() {
        if limit.is_some_and(|limit| words.len() >= limit) {
            words.push(lstrip(rest));
            break;
        }
        let start = rest
            .char_indices()
            .rev()
            .find(|(_, c)| is_space(*c))
            .map_or(0, |(at, c)| at + c.len_utf8());
        words.push(&rest[start..]);
        rest = rstrip(&rest[..start]);
    }
    words.reverse();
    words
}

/// `str.splitlines`.
pub(super) fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let is_end = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.find(is_end).unwrap_or(rest.len());
        let end = rest[at..].chars().next().map_or(0, |c| {
            if rest[at..].starts_with("\r\n") {
                2
            } else {
                c.len_utf8()
            }
        });
        lines.push(&rest[..if keep_ends { at + end } else { at }]);
        rest = &rest[at + end..];
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_python_does() {
        assert_eq!(split_space("  a  b c ", Some(1)), ["a", "b c"]);
        assert_eq!(split_space("\u{1c}a\u{a0}b", None), ["a", "b"]);
        assert_eq!(split_space(" ", None), [""; 0]);
        assert_eq!(rsplit_space("  a  b c ", Some(1)), ["a  b", "c"]);
        assert_eq!(
            lines("a\r\nb\u{2028}c\n\nd", false),
            ["a", "b", "c", "", "d"]
        );
        assert_eq!(lines("a\r\nb\n", true), ["a\r\n", "b\n"]);
    }
}
