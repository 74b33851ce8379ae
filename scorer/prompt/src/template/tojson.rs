//! The `tojson` filter as `transformers` defines it: Python's `json.dumps`
//! without escaping for HTML.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::python::{check_growth, write_float};

/// `json.dumps`' settings.
struct Style {
    ascii: bool,
    indent: Option<String>,
    item: String,
    key: String,
    sorted: bool,
}

/// `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
pub(super) fn tojson(
    value: &Value,
    positional: Rest<Value>,
    named: Kwargs,
) -> Result<Value, Error> {
    let argument = |index: usize, name: &str| -> Result<Value, Error> {
        match positional.get(index) {
            Some(value) => Ok(value.clone()),
            None => named
                .get::<Option<Value>>(name)
                .map(|value| value.unwrap_or_else(|| Value::from(()))),
        }
    };
    let ascii = argument(0, "ensure_ascii")?.is_true();
    let indent = indent(&argument(1, "indent")?)?;
    let (item, key) = separators(&argument(2, "separators")?, indent.is_some())?;
    let sorted = argument(3, "sort_keys")?.is_true();
    named.assert_all_used()?;
    let mut out = String::new();
    write_value(
        &mut out,
        value,
        &Style {
            ascii,
            indent,
            item,
            key,
            sorted,
        },
        0,
    )?;
    Ok(Value::from(out))
}

fn indent(value: &Value) -> Result<Option<String>, Error> {
    if value.is_none() || value.is_undefined() {
        return Ok(None);
    }
    if let Some(text) = value.as_str() {
        return Ok(Some(text.to_owned()));
    }
    // A bool is an integer in Python.
    let width = if value.kind() == ValueKind::Bool {
        i64::from(value.is_true())
    } else {
        i64::try_from(value.clone())?
    };
    Ok(Some(
        " ".repeat(usize::try_from(width).unwrap_or(0).min(64)),
    ))
}

fn separators(value: &Value, indented: bool) -> Result<(String, String), Error> {
    if value.is_none() || value.is_undefined() {
        return Ok((
            if indented { "," } else { ", " }.to_owned(),
            ": ".to_owned(),
        ));
    }
    let parts = value
        .try_iter()?
        .map(|part| part.as_str().map(str::to_owned))
        .collect::<Option<Vec<_>>>();
    match parts.as_deref() {
        Some([item, key]) => Ok((item.clone(), key.clone())),
        _ => Err(Error::new(
            ErrorKind::InvalidOperation,
            "tojson: separators must be a pair of strings",
        )),
    }
}

fn write_value(out: &mut String, value: &Value, style: &Style, depth: usize) -> Result<(), Error> {
    check_growth(out, depth)?;
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number if value.is_integer() => push_display(out, value),
        ValueKind::Number => write_float(out, f64::try_from(value.clone())?, "NaN", "Infinity"),
        ValueKind::String => write_text(out, value.as_str().unwrap_or_default(), style.ascii),
        ValueKind::Map => write_map(out, value, style, depth)?,
        ValueKind::Seq | ValueKind::Iterable => write_list(out, value, style, depth)?,
        other => {
            let reason = format!("tojson: a value of kind {other} has no JSON form");
            return Err(Error::new(ErrorKind::InvalidOperation, reason));
        }
    }
    Ok(())
}

fn push_display(out: &mut String, value: &Value) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{value}");
}

fn write_list(out: &mut String, value: &Value, style: &Style, depth: usize) -> Result<(), Error> {
    let mut first = true;
    out.push('[');
    for item in value.try_iter()? {
        separate(out, &mut first, style, depth + 1);
        write_value(out, &item, style, depth + 1)?;
    }
    close(out, first, style, depth, ']');
    Ok(())
}

fn write_map(out: &mut String, value: &Value, style: &Style, depth: usize) -> Result<(), Error> {
    let mut keys: Vec<Value> = value.try_iter()?.collect();
    if style.sorted {
        keys.sort();
    }
    let mut first = true;
    out.push('{');
    for key in keys {
        separate(out, &mut first, style, depth + 1);
        match key.as_str() {
            Some(name) => write_text(out, name, style.ascii),
            // Numbers, booleans and null become strings as keys.
            None => {
                out.push('"');
                write_value(out, &key, style, depth)?;
                out.push('"');
            }
        }
        out.push_str(&style.key);
        write_value(out, &value.get_item(&key)?, style, depth + 1)?;
    }
    close(out, first, style, depth, '}');
    Ok(())
}

fn separate(out: &mut String, first: &mut bool, style: &Style, depth: usize) {
    if !std::mem::replace(first, false) {
        out.push_str(&style.item);
    }
    new_line(out, style, depth);
}

fn close(out: &mut String, empty: bool, style: &Style, depth: usize, bracket: char) {
    if !empty {
        new_line(out, style, depth);
    }
    out.push(bracket);
}

fn new_line(out: &mut String, style: &Style, depth: usize) {
    if let Some(indent) = &style.indent {
        out.push('\n');
        for _ in 0..depth {
            out.push_str(indent);
        }
    }
}

fn write_text(out: &mut String, text: &str, ascii: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 || (ascii && !(' '..='~').contains(&c)) => {
                write_escape(out, c)
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn write_escape(out: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to a string cannot fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}
