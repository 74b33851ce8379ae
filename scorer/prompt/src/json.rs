//! JSON text to values, refusing what cannot be represented exactly.

use serde_json::Value;

/// Why a text is not usable JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, not UTF-8, nested deeper than 127 levels, a lone surrogate
    /// escape, or a number beyond 64-bit floating point.
    #[error("line {line}, column {column}: {reason}")]
    Syntax {
        /// Line of the error, from 1.
        line: usize,
        /// Column of the error, in bytes.
        column: usize,
        /// What the parser saw.
        reason: String,
    },
    /// An integer that 64 bits do not hold. The engine would print all its
    /// digits, so the prompt would silently differ.
    #[error("byte {at}: integer beyond 64 bits; write it as a string")]
    Integer {
        /// Where the number begins.
        at: usize,
    },
}

/// Parses `text`, keeping the order of keys.
pub(crate) fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let value = serde_json::from_slice(text).map_err(|error| syntax(&error))?;
    match oversized_integer(text) {
        Some(at) => Err(JsonError::Integer { at }),
        None => Ok(value),
    }
}

fn syntax(error: &serde_json::Error) -> JsonError {
    let text = error.to_string();
    let reason = text
        .split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned();
    JsonError::Syntax {
        line: error.line(),
        column: error.column(),
        reason,
    }
}

/// The position of the first integer in valid JSON that neither `u64` nor `i64`
/// holds. The parser itself would turn it into a rounded float without a word.
fn oversized_integer(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at + 1),
            b'-' | b'0'..=b'9' => {
                let end = number_end(text, at);
                if is_oversized(&text[at..end]) {
                    return Some(at);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    None
}

fn string_end(text: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

fn number_end(text: &[u8], start: usize) -> usize {
    let is_number = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
    start
        + text[start..]
            .iter()
            .take_while(|byte| is_number(byte))
            .count()
}

fn is_oversized(number: &[u8]) -> bool {
    if number.len() < 19 || number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return false;
    }
    std::str::from_utf8(number)
        .is_ok_and(|text| text.parse::<u64>().is_err() && text.parse::<i64>().is_err())
}

/// The JSON type's name, for errors.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_beyond_64_bits_are_refused_where_they_stand() {
        assert_eq!(
            parse(br#"{"a": 18446744073709551616}"#),
            Err(JsonError::Integer { at: 6 })
        );
        assert_eq!(
            parse(br#"[-9223372036854775809]"#),
            Err(JsonError::Integer { at: 1 })
        );
        assert!(parse(br#"[18446744073709551615, -9223372036854775808, 1e30]"#).is_ok());
        assert!(parse(br#"["\"99999999999999999999999\\", 1.00000000000000000000001]"#).is_ok());
    }

    #[test]
    fn hostile_texts_are_syntax_errors() {
        let deep = "[".repeat(100_000);
        for text in [
            deep.as_bytes(),
            br#""\ud800""#,
            b"\"\xff\"",
            b"1e400",
            b"NaN",
            b"",
            b"{} {}",
        ] {
            assert!(matches!(parse(text), Err(JsonError::Syntax { .. })));
        }
    }
}
