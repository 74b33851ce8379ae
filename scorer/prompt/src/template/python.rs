//! Python's text forms of values: `str`, `repr` and floats.

use std::fmt::Write as _;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use super::bounds;

/// Python's shortest form of a float: exponents from 1e16 and below 1e-4.
pub(super) fn write_float(out: &mut String, value: f64, nan: &str, infinity: &str) {
    if value.is_nan() {
        return out.push_str(nan);
    }
    if value.is_infinite() {
        out.push_str(if value < 0.0 { "-" } else { "" });
        return out.push_str(infinity);
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Writing to a string cannot fail.
    let _ = if value == 0.0 || (-4..16).contains(&exponent) {
        write!(out, "{value:?}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{digits}e{sign}{:02}", exponent.unsigned_abs())
    };
}

/// `str(value)`: what `{{ value }}` prints.
pub(super) fn str_of(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    match value.kind() {
        ValueKind::String => out.push_str(value.as_str().unwrap_or_default()),
        ValueKind::Undefined => {}
        _ => write_repr(&mut out, value, 0)?,
    }
    Ok(out)
}

/// How deep a value may nest to be printed or written as JSON: more than a body
/// can (127) and a template puts around it, and little of a thread's stack. Only
/// a template that builds such values, or one that contains itself, has deeper.
const DEPTH: usize = 192;

/// Refuses values that nest too deep, or longer texts than any prompt has.
pub(super) fn check_growth(out: &str, depth: usize) -> Result<(), Error> {
    let reason = if depth > DEPTH {
        format!("a value nests more than {DEPTH} deep")
    } else if out.len() > bounds::TEXT {
        format!("a value's text exceeds {} bytes", bounds::TEXT)
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidOperation, reason))
}

fn write_repr(out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
    check_growth(out, depth)?;
    match value.kind() {
        ValueKind::String => write_quoted(out, value.as_str().unwrap_or_default()),
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::Number if !value.is_integer() => {
            write_float(out, f64::try_from(value.clone())?, "nan", "inf")
        }
        ValueKind::Seq if value.is_tuple() => {
            out.push('(');
            write_items(out, value, depth + 1)?;
            out.push_str(if value.len() == Some(1) { ",)" } else { ")" });
        }
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            write_items(out, value, depth + 1)?;
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (index, key) in value.try_iter()?.enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_repr(out, &key, depth + 1)?;
                out.push_str(": ");
                write_repr(out, &value.get_item(&key)?, depth + 1)?;
            }
            out.push('}');
        }
        _ => {
            // Writing to a string cannot fail.
            let _ = write!(out, "{value}");
        }
    }
    Ok(())
}

fn write_items(out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
    for (index, item) in value.try_iter()?.enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write_repr(out, &item, depth)?;
    }
    Ok(())
}

/// `repr` of a text: single quotes unless the text has some and no double ones.
fn write_quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c => match u32::from(c) {
                // What Python does not print, for the characters that occur.
                code @ (0..0x20 | 0x7f..0xa1 | 0xad) => {
                    let _ = write!(out, "\\x{code:02x}");
                }
                _ => out.push(c),
            },
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::write_float;

    #[test]
    fn floats_print_as_python_prints_them() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123456789.125, "123456789.125"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            let mut out = String::new();
            write_float(&mut out, value, "NaN", "Infinity");
            assert_eq!(out, text);
        }
    }
}
