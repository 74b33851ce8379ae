//! Python's methods on strings, lists and dictionaries, where minijinja has
//! none and `minijinja-contrib` none or another one.

use minijinja::value::{Kwargs, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use super::{bounds, text};

pub(super) fn call(
    state: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let found = match value.kind() {
        ValueKind::String => string_method(value.as_str().unwrap_or_default(), method, args)?,
        ValueKind::Seq if method == "index" => Some(index_of(value, args)?),
        ValueKind::Map | ValueKind::Seq if method == "copy" => Some(value.clone()),
        _ => None,
    };
    match found {
        Some(result) => Ok(result),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

fn string_method(whole: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "center" | "ljust" | "rjust" | "zfill" => Value::from(pad(whole, method, args)?),
        "title" => Value::from(title(whole)),
        "strip" | "lstrip" | "rstrip" => Value::from(strip(whole, method, args)?),
        "split" => split(whole, args)?,
        "rsplit" => rsplit(whole, args)?,
        "splitlines" => {
            let (keep_ends, named): (Option<bool>, Kwargs) = from_args(args)?;
            let keep_ends = keep_ends.or(named.get("keepends")?).unwrap_or(false);
            texts(text::lines(whole, keep_ends))
        }
        "partition" | "rpartition" => partition(whole, method, args)?,
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(whole.strip_prefix(prefix).unwrap_or(whole))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(whole.strip_suffix(suffix).unwrap_or(whole))
        }
        "index" | "rindex" => index(whole, method, args)?,
        "join" => {
            let (values,): (&Value,) = from_args(args)?;
            Value::from(bounds::join(values, whole, None)?)
        }
        "replace" => {
            let (old, new, _): (&str, &str, Option<i64>) = from_args(args)?;
            bounds::check_replaced(whole, old, new)?;
            return Ok(None);
        }
        "format" => {
            bounds::check_format(whole, '{', args)?;
            return Ok(None);
        }
        "casefold" => Value::from(whole.to_lowercase()),
        _ => return Ok(None),
    }))
}

fn texts(texts: Vec<&str>) -> Value {
    texts.into_iter().map(Value::from).collect()
}

fn strip<'a>(whole: &'a str, method: &str, args: &[Value]) -> Result<&'a str, Error> {
    let (chars,): (Option<&str>,) = from_args(args)?;
    let Some(chars) = chars else {
        return Ok(match method {
            "lstrip" => text::lstrip(whole),
            "rstrip" => text::rstrip(whole),
            _ => text::strip(whole),
        });
    };
    let is_listed = |c: char| chars.contains(c);
    Ok(match method {
        "lstrip" => whole.trim_start_matches(is_listed),
        "rstrip" => whole.trim_end_matches(is_listed),
        _ => whole.trim_matches(is_listed),
    })
}

/// `sep` and `maxsplit` of `split` and `rsplit`; a negative limit is none.
fn split_args(args: &[Value]) -> Result<(Option<String>, Option<usize>), Error> {
    let (separator, limit, named): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let separator = separator
        .or(named.get("sep")?)
        .filter(|value| !value.is_none());
    let limit = limit
        .or(named.get("maxsplit")?)
        .and_then(|limit| usize::try_from(limit).ok());
    named.assert_all_used()?;
    match separator {
        None => Ok((None, limit)),
        Some(separator) => match separator.as_str() {
            Some("") => Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
            Some(text) => Ok((Some(text.to_owned()), limit)),
            None => Err(Error::new(
                ErrorKind::InvalidOperation,
                "separator must be a string",
            )),
        },
    }
}

fn split(whole: &str, args: &[Value]) -> Result<Value, Error> {
    Ok(match split_args(args)? {
        (None, limit) => texts(text::split_space(whole, limit)),
        (Some(separator), None) => texts(whole.split(&separator).collect()),
        (Some(separator), Some(limit)) => {
            texts(whole.splitn(limit.saturating_add(1), &separator).collect())
        }
    })
}

fn rsplit(whole: &str, args: &[Value]) -> Result<Value, Error> {
    let (separator, limit) = split_args(args)?;
    let Some(separator) = separator else {
        return Ok(texts(text::rsplit_space(whole, limit)));
    };
    let mut parts: Vec<&str> = match limit {
        None => whole.rsplit(&separator).collect(),
        Some(limit) => whole.rsplitn(limit.saturating_add(1), &separator).collect(),
    };
    parts.reverse();
    Ok(texts(parts))
}

fn partition(whole: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (separator,): (&str,) = from_args(args)?;
    let first = method == "partition";
    let found = if first {
        whole.split_once(separator)
    } else {
        whole.rsplit_once(separator)
    };
    Ok(texts(match found {
        Some((before, after)) => vec![before, separator, after],
        None if first => vec![whole, "", ""],
        None => vec!["", "", whole],
    }))
}

fn index(whole: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (part,): (&str,) = from_args(args)?;
    let found = if method == "index" {
        whole.find(part)
    } else {
        whole.rfind(part)
    };
    match found {
        Some(at) => Ok(Value::from(whole[..at].chars().count())),
        None => Err(Error::new(
            ErrorKind::InvalidOperation,
            "substring not found",
        )),
    }
}

/// Padding to a width in characters.
fn pad(whole: &str, method: &str, args: &[Value]) -> Result<String, Error> {
    let (width, fill): (usize, Option<&str>) = from_args(args)?;
    let missing = width.saturating_sub(whole.chars().count());
    if missing > MAX_PADDING {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "padding is too wide",
        ));
    }
    let fill = |count: usize| fill.unwrap_or(" ").repeat(count);
    Ok(match method {
        "ljust" => format!("{whole}{}", fill(missing)),
        "rjust" => format!("{}{whole}", fill(missing)),
        "zfill" => {
            let (sign, digits) = whole.split_at(usize::from(whole.starts_with(['+', '-'])));
            format!("{sign}{}{digits}", "0".repeat(missing))
        }
        // Python puts the odd one left only if the width is odd.
        _ => {
            let left = missing / 2 + (missing & width & 1);
            format!("{}{whole}{}", fill(left), fill(missing - left))
        }
    })
}

const MAX_PADDING: usize = 4_096;

/// Upper case after every character that is no letter.
fn title(whole: &str) -> String {
    let mut titled = String::with_capacity(whole.len());
    let mut in_word = false;
    for c in whole.chars() {
        if in_word {
            titled.extend(c.to_lowercase());
        } else {
            titled.extend(c.to_uppercase());
        }
        in_word = c.is_alphabetic();
    }
    titled
}

fn index_of(list: &Value, args: &[Value]) -> Result<Value, Error> {
    let (item,): (&Value,) = from_args(args)?;
    match list.try_iter()?.position(|candidate| candidate == *item) {
        Some(at) => Ok(Value::from(at)),
        None => Err(Error::new(
            ErrorKind::InvalidOperation,
            "value is not in list",
        )),
    }
}
