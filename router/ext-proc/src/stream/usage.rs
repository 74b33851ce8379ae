//! What an engine says it did, read from the response while it passes.

use serde::Deserialize;

use super::sse::Lines;
use crate::{Headers, Usage};

/// How much of a response that is one JSON text is kept. Engines write `usage`
/// behind the text they made.
const TAIL_BYTES: usize = 64 * 1024;

/// So many places are tried, so that a body full of them costs little.
const TRIES: usize = 16;

const NEEDLE: &[u8] = b"\"usage\"";

/// Looks for `usage` in a response's body, in bounded memory.
pub(super) struct UsageTap {
    form: Form,
    found: Option<Usage>,
}

enum Form {
    /// Compressed, or not one of ours.
    Off,
    Sse(Lines),
    Json(Tail),
}

impl UsageTap {
    pub(super) fn off() -> Self {
        Self {
            form: Form::Off,
            found: None,
        }
    }

    pub(super) fn for_response(headers: &Headers) -> Self {
        let encoding = headers.get("content-encoding").unwrap_or("identity");
        if !encoding.trim().eq_ignore_ascii_case("identity") {
            return Self::off();
        }
        let kind = headers.get("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let form = if kind.eq_ignore_ascii_case("text/event-stream") {
            Form::Sse(Lines::default())
        } else if kind.eq_ignore_ascii_case("application/json") {
            Form::Json(Tail::default())
        } else {
            Form::Off
        };
        Self { form, found: None }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let found = &mut self.found;
        match &mut self.form {
            Form::Off => {}
            // With usage in every event, the last one counts.
            Form::Sse(lines) => lines.feed(bytes, |line| *found = in_line(line).or(*found)),
            Form::Json(tail) => tail.feed(bytes),
        }
    }

    /// The body has ended, or nobody waits for the rest.
    pub(super) fn finish(&mut self) -> Option<Usage> {
        let found = &mut self.found;
        match std::mem::replace(&mut self.form, Form::Off) {
            Form::Off => {}
            Form::Sse(mut lines) => lines.finish(|line| *found = in_line(line).or(*found)),
            Form::Json(tail) => *found = tail.usage(),
        }
        self.found
    }
}

/// The end of a body.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
    /// The beginning is gone.
    cut: bool,
}

impl Tail {
    fn feed(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        let total = self.bytes.len() + kept.len();
        self.cut |= kept.len() < bytes.len();
        // Moving the rest down once per TAIL_BYTES keeps small pieces cheap.
        if total > 2 * TAIL_BYTES {
            self.bytes.drain(..total - TAIL_BYTES);
            self.cut = true;
        }
        self.bytes.extend_from_slice(kept);
    }

    fn usage(&self) -> Option<Usage> {
        if !self.cut {
            return in_json(&self.bytes);
        }
        // A quote within a JSON string is escaped, so the needle is a whole
        // string of the text; with a colon behind it, a key.
        let mut end = self.bytes.len();
        for _ in 0..TRIES {
            let at = rfind(&self.bytes[..end], NEEDLE)?;
            let behind = self.bytes[at + NEEDLE.len()..].trim_ascii_start();
            let value = behind.strip_prefix(b":").and_then(first_value);
            if let Some(usage) = value.and_then(Counts::usage) {
                return Some(usage);
            }
            end = at;
        }
        None
    }
}

fn rfind(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).rposition(|part| part == needle)
}

fn first_value(text: &[u8]) -> Option<Counts> {
    serde_json::Deserializer::from_slice(text)
        .into_iter()
        .next()?
        .ok()
}

fn in_line(line: &[u8]) -> Option<Usage> {
    let data = line.strip_prefix(b"data:")?;
    let mentioned = data.windows(NEEDLE.len()).any(|part| part == NEEDLE);
    mentioned.then(|| in_json(data)).flatten()
}

/// From a chat completion, a completion, an embedding, a response of the
/// Responses API, or the event of one.
fn in_json(text: &[u8]) -> Option<Usage> {
    let body: Body = serde_json::from_slice(text).ok()?;
    let nested = body.response.and_then(|response| response.usage);
    body.usage.or(nested)?.usage()
}

#[derive(Deserialize)]
struct Body {
    usage: Option<Counts>,
    response: Option<Nested>,
}

#[derive(Deserialize)]
struct Nested {
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Counts {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    // The Responses API's names.
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
}

impl Counts {
    fn usage(self) -> Option<Usage> {
        let details = self.prompt_tokens_details.or(self.input_tokens_details);
        let made = self.completion_tokens.or(self.output_tokens);
        Some(Usage {
            prompt_tokens: self.prompt_tokens.or(self.input_tokens)?,
            cached_tokens: details.and_then(|details| details.cached_tokens),
            completion_tokens: made.unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: Usage = Usage {
        prompt_tokens: 100,
        cached_tokens: Some(64),
        completion_tokens: 7,
    };
    const COUNTS: &str = r#"{"prompt_tokens":100,"total_tokens":107,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":64}}"#;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.as_bytes().to_vec());
        Headers::new(pairs.iter().map(owned))
    }

    fn usage_of(kind: &str, body: &str, piece: usize) -> Option<Usage> {
        let mut tap = UsageTap::for_response(&headers(&[("content-type", kind)]));
        body.as_bytes()
            .chunks(piece)
            .for_each(|part| tap.feed(part));
        tap.finish()
    }

    fn sse(body: &str) -> Option<Usage> {
        let whole = usage_of("text/event-stream; charset=utf-8", body, usize::MAX);
        for piece in [1, 2, 3, 7, 64] {
            assert_eq!(usage_of("text/event-stream", body, piece), whole);
        }
        whole
    }

    #[test]
    fn an_event_split_anywhere_is_read() {
        let body = format!(
            "data: {{\"choices\":[],\"usage\":null}}\n\ndata: {{\"usage\":{COUNTS}}}\n\ndata: [DONE]\n\n"
        );
        assert_eq!(sse(&body), Some(EXPECTED));
    }

    #[test]
    fn the_responses_api_is_read() {
        let body = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":\
            {\"input_tokens\":100,\"output_tokens\":7,\"input_tokens_details\":{\"cached_tokens\":64}}}}\n\n";
        assert_eq!(sse(body), Some(EXPECTED));
    }

    #[test]
    fn hostile_usage_is_no_usage() {
        for value in [
            "1e400",
            "-1",
            "\"x\"",
            "[1]",
            "{\"prompt_tokens\":-5}",
            "{\"prompt_tokens\":99999999999999999999}",
            "{\"prompt_tokens\":1.5}",
            "{}",
        ] {
            assert_eq!(sse(&format!("data: {{\"usage\":{value}}}\n\n")), None);
        }
        let deep = format!("data: {{\"usage\":1,\"a\":{}\n\n", "[".repeat(100_000));
        assert_eq!(usage_of("text/event-stream", &deep, 1_000), None);
    }

    #[test]
    fn a_short_json_body_is_read_as_a_whole() {
        let body = format!(r#"{{"usage":{COUNTS},"kv":{{"usage":{{"prompt_tokens":1}}}}}}"#);
        assert_eq!(usage_of("application/json", &body, 10), Some(EXPECTED));
    }

    #[test]
    fn of_a_long_json_body_the_end_is_read_in_bounded_memory() {
        let made = r#" \"usage\":{\"prompt_tokens\":5} "#.repeat(20_000);
        let body = format!(r#"{{"text":"{made}","usage" : {COUNTS},"more":["usage"]}}"#);
        for piece in [100, 70_000, usize::MAX] {
            assert_eq!(usage_of("application/json", &body, piece), Some(EXPECTED));
        }
        let mut tail = Tail::default();
        for _ in 0..10_000 {
            tail.feed(&[b'x'; 1_000]);
            assert!(tail.bytes.capacity() <= 4 * TAIL_BYTES);
        }
        assert_eq!(tail.usage(), None);
    }

    #[test]
    fn what_is_compressed_is_not_looked_into() {
        let pairs = [
            ("content-type", "text/event-stream"),
            ("content-encoding", "gzip"),
        ];
        let mut tap = UsageTap::for_response(&headers(&pairs));
        tap.feed(format!("data: {{\"usage\":{COUNTS}}}\n\n").as_bytes());
        assert_eq!(tap.finish(), None);
    }
}
