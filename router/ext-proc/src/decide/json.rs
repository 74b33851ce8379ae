//! A body's `model`, and where it stands, without building the document: one pass
//! over the bytes, no recursion, nothing kept.

use std::ops::Range;

/// Objects and arrays within each other, at most: what most JSON readers allow.
const DEPTH: u32 = 128;

/// The longest number, in bytes. Longer ones are no quantity of anything.
const NUMBER_BYTES: usize = 512;

/// The longest name of a field that is looked at.
const NAME_BYTES: usize = 64;

/// The longest model name, in bytes.
const MODEL_BYTES: usize = 512;

/// What is read of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// The value of the field `model`.
    pub(super) model: String,
    /// Where the value stands, quotes and all.
    pub(super) at: Range<usize>,
}

/// Why a body is no request. The messages hold nothing of the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is not UTF-8: see byte {0}")]
    NotUtf8(usize),
    #[error("the body is not JSON: expected {expected} at byte {at}")]
    NotJson { expected: &'static str, at: usize },
    #[error("the body has more than {DEPTH} objects and arrays within each other, at byte {0}")]
    TooDeep(usize),
    #[error("the number at byte {0} is too large: at most 1.7976931348623157e308")]
    NumberTooLarge(usize),
    #[error("the body is not a JSON object")]
    NotAnObject,
    #[error("the field `model` is missing: give the name of a model")]
    ModelMissing,
    #[error("the field `model` stands twice, at byte {0}: give it once")]
    ModelTwice(usize),
    #[error("the field `model` is not a string: give the name of a model")]
    ModelNotText,
    #[error("the field `model` is empty: give the name of a model")]
    ModelEmpty,
    #[error("the field `model` has {0} bytes: at most {MODEL_BYTES}")]
    ModelTooLong(usize),
}

/// Reads a body to its end: what follows the model must be JSON too.
pub(super) fn read(bytes: &[u8]) -> Result<Named, BodyError> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(BodyError::NotUtf8(error.valid_up_to()));
    }
    let mut scan = Scan {
        bytes,
        at: 0,
        depth: 0,
        objects: 0,
    };
    scan.space();
    if scan.peek() != Some(b'{') {
        // An error of the form comes first: `[1` is no JSON.
        scan.value()?;
        scan.end()?;
        return Err(BodyError::NotAnObject);
    }
    let model = scan.members()?;
    scan.end()?;
    named(bytes, model.ok_or(BodyError::ModelMissing)?)
}

/// The body with another model name, and every other byte as it was.
pub(super) fn with_model(bytes: &[u8], at: &Range<usize>, model: &str) -> Vec<u8> {
    let quoted = serde_json::Value::from(model).to_string();
    let mut body = Vec::with_capacity(bytes.len() + quoted.len());
    body.extend_from_slice(&bytes[..at.start]);
    body.extend_from_slice(quoted.as_bytes());
    body.extend_from_slice(&bytes[at.end..]);
    body
}

fn named(bytes: &[u8], at: Range<usize>) -> Result<Named, BodyError> {
    let value = &bytes[at.clone()];
    if value.first() != Some(&b'"') {
        return Err(BodyError::ModelNotText);
    }
    // Escapes make it longer than what it stands for, at most six times.
    if value.len() > 6 * MODEL_BYTES + 2 {
        return Err(BodyError::ModelTooLong(value.len() - 2));
    }
    // Half of a surrogate pair is JSON, but no text.
    let model: String = serde_json::from_slice(value).map_err(|_| BodyError::ModelNotText)?;
    match model.len() {
        0 => Err(BodyError::ModelEmpty),
        length if length > MODEL_BYTES => Err(BodyError::ModelTooLong(length)),
        _ => Ok(Named { model, at }),
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    /// One bit per depth: whether it is an object.
    objects: u128,
}

impl Scan<'_> {
    /// The members of the outermost object; where the value of `model` stands.
    fn members(&mut self) -> Result<Option<Range<usize>>, BodyError> {
        self.open(true)?;
        let mut model = None;
        self.space();
        if self.peek() == Some(b'}') {
            self.close();
            return Ok(None);
        }
        loop {
            let name = self.name()?;
            self.space();
            let start = self.at;
            self.value()?;
            if self.names_model(name) && model.replace(start..self.at).is_some() {
                return Err(BodyError::ModelTwice(start));
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.close();
                    return Ok(model);
                }
                _ => return Err(self.expected("`,` or `}`")),
            }
        }
    }

    fn names_model(&self, name: Range<usize>) -> bool {
        let raw = &self.bytes[name];
        raw == b"\"model\""
            || (raw.contains(&b'\\')
                && raw.len() <= NAME_BYTES
                && serde_json::from_slice::<String>(raw).is_ok_and(|name| name == "model"))
    }

    /// One value with everything in it.
    fn value(&mut self) -> Result<(), BodyError> {
        let floor = self.depth;
        loop {
            if self.begin()? {
                continue;
            }
            // A value has ended, and with it perhaps what it is in.
            loop {
                if self.depth == floor {
                    return Ok(());
                }
                self.space();
                match (self.in_object(), self.peek()) {
                    (true, Some(b',')) => {
                        self.at += 1;
                        self.name()?;
                        break;
                    }
                    (false, Some(b',')) => {
                        self.at += 1;
                        break;
                    }
                    (true, Some(b'}')) | (false, Some(b']')) => self.close(),
                    (true, _) => return Err(self.expected("`,` or `}`")),
                    (false, _) => return Err(self.expected("`,` or `]`")),
                }
            }
        }
    }

    /// A whole plain value or empty container; `true` if a container was opened,
    /// and its first value comes next.
    fn begin(&mut self) -> Result<bool, BodyError> {
        self.space();
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{') => {
                self.open(true)?;
                self.space();
                if self.peek() != Some(b'}') {
                    self.name()?;
                    return Ok(true);
                }
                self.close();
            }
            Some(b'[') => {
                self.open(false)?;
                self.space();
                if self.peek() != Some(b']') {
                    return Ok(true);
                }
                self.close();
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            _ => return Err(self.expected("a value")),
        }
        Ok(false)
    }

    /// A member's name and its colon; where the name stands.
    fn name(&mut self) -> Result<Range<usize>, BodyError> {
        self.space();
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.expected("a name in quotes"));
        }
        self.string()?;
        let name = start..self.at;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(name)
    }

    fn string(&mut self) -> Result<(), BodyError> {
        self.at += 1;
        loop {
            let rest = &self.bytes[self.at..];
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            self.at += plain.unwrap_or(rest.len());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.expected("an escape instead of a control character")),
                None => return Err(self.expected("the end of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), BodyError> {
        self.at += 1;
        let digits = match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            _ => return Err(self.expected("an escape")),
        };
        self.at += 1;
        for _ in 0..digits {
            if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                return Err(self.expected("four hexadecimal digits"));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), BodyError> {
        let start = self.at;
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits()?;
        }
        let mut plain = true;
        if self.skip(b'.') {
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            plain = false;
            let _ = self.skip(b'+') || self.skip(b'-');
            self.digits()?;
        }
        let length = self.at - start;
        // So few digits without an exponent always fit.
        if plain && length < 300 {
            return Ok(());
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        let fits = length <= NUMBER_BYTES && text.parse::<f64>().is_ok_and(f64::is_finite);
        fits.then_some(()).ok_or(BodyError::NumberTooLarge(start))
    }

    fn digits(&mut self) -> Result<(), BodyError> {
        let rest = &self.bytes[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.expected("a digit"));
        }
        self.at += count;
        Ok(())
    }

    fn literal(&mut self, text: &'static [u8]) -> Result<(), BodyError> {
        if !self.bytes[self.at..].starts_with(text) {
            return Err(self.expected("a value"));
        }
        self.at += text.len();
        Ok(())
    }

    fn open(&mut self, object: bool) -> Result<(), BodyError> {
        if self.depth == DEPTH {
            return Err(BodyError::TooDeep(self.at));
        }
        self.objects = self.objects << 1 | u128::from(object);
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
        self.at += 1;
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn end(&mut self) -> Result<(), BodyError> {
        self.space();
        if self.at < self.bytes.len() {
            return Err(self.expected("the end"));
        }
        Ok(())
    }

    fn skip(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn expected(&self, expected: &'static str) -> BodyError {
        BodyError::NotJson {
            expected,
            at: self.at,
        }
    }
}

#[cfg(test)]
mod tests;
