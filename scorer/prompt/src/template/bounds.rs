//! Filters and functions whose result can be far larger than what they are
//! given, with bounds on it.

use minijinja::value::{Kwargs, Rest};
use minijinja::{Environment, Error, ErrorKind, State, Value, filters};

use super::python;

/// Bytes of a text that one filter may make; what a whole prompt may have.
pub(super) const TEXT: usize = 64 << 20;
/// Items that one filter may add to a list.
const ITEMS: usize = 65_536;
/// Spaces of an indentation.
const WIDTH: usize = 256;

pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_filter("batch", batch);
    environment.add_filter("slice", slice);
    environment.add_filter("indent", indent);
    environment.add_filter("join", join_filter);
    environment.add_filter("format", format);
    // Not Jinja's. Both make lists that go one deeper with every use.
    environment.remove_filter("chain");
    environment.remove_filter("zip");
}

fn refuse(name: &str, limit: usize, unit: &str) -> Error {
    let reason = format!("{name}: more than {limit} {unit}");
    Error::new(ErrorKind::InvalidOperation, reason)
}

fn check(name: &str, count: usize, limit: usize, unit: &str) -> Result<(), Error> {
    if count > limit {
        return Err(refuse(name, limit, unit));
    }
    Ok(())
}

fn batch(
    state: &mut State,
    value: Value,
    count: usize,
    fill_with: Option<Value>,
) -> Result<Value, Error> {
    check("batch", count, ITEMS, "items")?;
    filters::batch(state, value, count, fill_with)
}

fn slice(
    state: &mut State,
    value: Value,
    count: usize,
    fill_with: Option<Value>,
) -> Result<Value, Error> {
    check("slice", count, ITEMS, "lists")?;
    filters::slice(state, value, count, fill_with)
}

/// `indent(width=4, first=False, blank=False)`.
fn indent(
    state: &mut State,
    value: &Value,
    args: Rest<Value>,
    named: Kwargs,
) -> Result<Value, Error> {
    let width = match args.first() {
        Some(width) => Some(usize::try_from(width.clone())?),
        None => named.peek::<Option<usize>>("width").ok().flatten(),
    };
    let width = width.unwrap_or(4);
    check("indent", width, WIDTH, "spaces")?;
    let lines = value
        .as_str()
        .map_or(0, |text| text.bytes().filter(|byte| *byte == b'\n').count());
    let added = (lines + 1).saturating_mul(width);
    check("indent", added, TEXT, "bytes")?;
    let mut all = vec![value.clone()];
    all.extend(args.0);
    all.push(Value::from(named));
    Value::from_function(filters::indent).call(state, &all)
}

/// `join(d='', attribute=None)`.
fn join_filter(
    value: &Value,
    separator: Option<Value>,
    attribute: Option<String>,
    named: Kwargs,
) -> Result<String, Error> {
    let separator = match separator {
        Some(separator) => Some(separator),
        None => named.get::<Option<Value>>("d")?,
    };
    let attribute = match attribute {
        Some(attribute) => Some(attribute),
        None => named.get::<Option<String>>("attribute")?,
    };
    named.assert_all_used()?;
    let separator = separator.map_or(Ok(String::new()), |value| python::str_of(&value))?;
    join(value, &separator, attribute.as_deref())
}

/// The items' texts with `separator` between them.
pub(super) fn join(
    values: &Value,
    separator: &str,
    attribute: Option<&str>,
) -> Result<String, Error> {
    let mut joined = String::new();
    let mut add = |index: usize, item: &str| {
        let separator = if index == 0 { "" } else { separator };
        let length = joined.len() + separator.len() + item.len();
        check("join", length, TEXT, "bytes")?;
        joined.push_str(separator);
        joined.push_str(item);
        Ok::<(), Error>(())
    };
    if let Some(text) = values.as_str() {
        for (index, c) in text.chars().enumerate() {
            add(index, c.encode_utf8(&mut [0; 4]))?;
        }
    } else if !values.is_undefined() {
        for (index, item) in values.try_iter()?.enumerate() {
            let item = match attribute {
                Some(path) => path
                    .split('.')
                    .try_fold(item, |item, name| item.get_attr(name))?,
                None => item,
            };
            match item.as_str() {
                Some(text) => add(index, text)?,
                None => add(index, &python::str_of(&item)?)?,
            }
        }
    }
    Ok(joined)
}

/// `'%s %d' | format(...)`.
fn format(
    state: &mut State,
    pattern: &str,
    args: Rest<Value>,
    named: Kwargs,
) -> Result<Value, Error> {
    let mut all = vec![Value::from(pattern)];
    all.extend(args.0);
    if named.args().next().is_some() {
        all.push(Value::from(named));
    }
    check_format(pattern, '%', &all[1..])?;
    Value::from_function(filters::format).call(state, &all)
}

/// Refuses widths and precisions that pad without bound, those that come from
/// an argument, and results that are too long. Fields begin with `%` or `{`.
pub(super) fn check_format(pattern: &str, opener: char, args: &[Value]) -> Result<(), Error> {
    let escape = [opener; 2].iter().collect::<String>();
    let plain = pattern.replace(&escape, "");
    let mut fields = 0_usize;
    for field in plain.split(opener).skip(1) {
        fields += 1;
        let spec = if opener == '{' {
            field.split_once('}').map(|(spec, _)| spec)
        } else {
            percent_spec(field)
        };
        let Some(spec) = spec.filter(|spec| !spec.contains('*') && !spec.ends_with(':')) else {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "format: only fields with a fixed width are supported",
            ));
        };
        let numbers = spec.split(|c: char| !c.is_ascii_digit());
        let digits = numbers.map(str::len).max().unwrap_or(0);
        check("format", digits, 3, "digits of a width")?;
    }
    let mut longest = 1_024;
    for arg in args {
        longest = longest.max(python::str_of(arg)?.len());
    }
    let length = fields.saturating_mul(longest);
    check(
        "format",
        length.saturating_add(pattern.len()),
        TEXT,
        "bytes",
    )
}

/// Flags, width and precision of a field after its `%` and name.
fn percent_spec(field: &str) -> Option<&str> {
    let field = match field.strip_prefix('(') {
        Some(named) => named.split_once(')')?.1,
        None => field,
    };
    let is_spec = |c: char| c.is_ascii_digit() || "-+# .*".contains(c);
    let end = field.find(|c| !is_spec(c)).unwrap_or(field.len());
    Some(&field[..end])
}

/// Refuses a replacement whose result is too long, before it is made.
pub(super) fn check_replaced(whole: &str, old: &str, new: &str) -> Result<(), Error> {
    if new.len() <= old.len() {
        return Ok(());
    }
    let added = whole
        .matches(old)
        .count()
        .saturating_mul(new.len() - old.len());
    check("replace", whole.len().saturating_add(added), TEXT, "bytes")
}
