//! Jinja's filters and tests where minijinja's differ from Python's.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::{bounds, python, text, tojson};

pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_filter("tojson", tojson::tojson);
    environment.add_filter("string", python::str_of);
    environment.add_filter("trim", trim);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("replace", replace);
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
    environment.add_test("sequence", |value: &Value| {
        matches!(
            value.kind(),
            ValueKind::Seq | ValueKind::Map | ValueKind::String
        )
    });
    bounds::install(environment);
    // Python's line breaking is not reproduced: better no prompt than another.
    environment.remove_filter("pprint");
}

fn trim(value: &Value, chars: Option<&str>, named: Kwargs) -> Result<Value, Error> {
    let given = match chars {
        Some(chars) => Some(chars.to_owned()),
        None => named.get::<Option<String>>("chars")?,
    };
    named.assert_all_used()?;
    let whole = python::str_of(value)?;
    Ok(Value::from(match given {
        Some(chars) => whole.trim_matches(|c| chars.contains(c)),
        None => text::strip(&whole),
    }))
}

fn default(
    value: &Value,
    other: Option<Value>,
    falsy: Option<bool>,
    named: Kwargs,
) -> Result<Value, Error> {
    let other = match other {
        Some(other) => other,
        None => named
            .get::<Option<Value>>("default_value")?
            .unwrap_or_else(|| Value::from("")),
    };
    let falsy = match falsy {
        Some(falsy) => falsy,
        None => named.get::<Option<bool>>("boolean")?.unwrap_or(false),
    };
    named.assert_all_used()?;
    Ok(if value.is_undefined() || (falsy && !value.is_true()) {
        other
    } else {
        value.clone()
    })
}

fn replace(value: &Value, old: &str, new: &str, count: Option<i64>) -> Result<String, Error> {
    let whole = python::str_of(value)?;
    bounds::check_replaced(&whole, old, new)?;
    Ok(match count.and_then(|count| usize::try_from(count).ok()) {
        Some(count) => whole.replacen(old, new, count),
        None => whole.replace(old, new),
    })
}

/// The integer in a text or number; `default` for anything else.
fn int(value: &Value, default: Option<Value>, named: Kwargs) -> Result<Value, Error> {
    let default = match default {
        Some(default) => default,
        None => named
            .get::<Option<Value>>("default")?
            .unwrap_or_else(|| Value::from(0)),
    };
    named.assert_all_used()?;
    Ok(match value.kind() {
        ValueKind::Bool => Value::from(i64::from(value.is_true())),
        ValueKind::Number if value.is_integer() => value.clone(),
        ValueKind::Number => truncated(f64::try_from(value.clone())?).unwrap_or(default),
        ValueKind::String => {
            let digits = text::strip(value.as_str().unwrap_or_default()).replace('_', "");
            match digits.parse::<i128>() {
                Ok(number) => Value::from(number),
                Err(_) => digits.parse().ok().and_then(truncated).unwrap_or(default),
            }
        }
        _ => default,
    })
}

/// A float without its fraction, where 64 bits hold it.
fn truncated(value: f64) -> Option<Value> {
    let limit = 9.0e18;
    (value.abs() < limit).then(|| Value::from(value as i64))
}

fn float(value: &Value, default: Option<Value>, named: Kwargs) -> Result<Value, Error> {
    let default = match default {
        Some(default) => default,
        None => named
            .get::<Option<Value>>("default")?
            .unwrap_or_else(|| Value::from(0.0)),
    };
    named.assert_all_used()?;
    Ok(match value.kind() {
        ValueKind::Bool => Value::from(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => Value::from(f64::try_from(value.clone())?),
        ValueKind::String => {
            let parsed = text::strip(value.as_str().unwrap_or_default()).parse::<f64>();
            parsed.map_or(default, Value::from)
        }
        _ => default,
    })
}

fn length(value: &Value) -> Result<usize, Error> {
    match (value.is_undefined(), value.len()) {
        (true, _) => Ok(0),
        (false, Some(length)) => Ok(length),
        (false, None) => {
            let reason = format!("a value of kind {} has no length", value.kind());
            Err(Error::new(ErrorKind::InvalidOperation, reason))
        }
    }
}

fn escape(value: &Value) -> Result<String, Error> {
    let whole = python::str_of(value)?;
    let mut escaped = String::with_capacity(whole.len());
    for c in whole.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    Ok(escaped)
}
