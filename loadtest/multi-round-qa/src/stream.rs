//! Server-sent events of a chat completion, byte by byte.

use serde::{Deserialize, Deserializer};

use crate::history::ANSWER_BYTES;

/// The longest line; a chunk holds a token or the usage.
const LINE_BYTES: usize = 1 << 20;

/// The most tokens of one answer that a server may count: no model has as many.
const TOKENS: u64 = 1 << 40;

/// What has come so far.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    line: Vec<u8>,
    /// The answer's text, at most [`ANSWER_BYTES`].
    pub(crate) text: String,
    /// Whether any text has come.
    pub(crate) begun: bool,
    pub(crate) usage: Option<Usage>,
    /// Whether the server said that it is over.
    pub(crate) done: bool,
}

/// Tokens as the server counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: u64,
    #[serde(default, deserialize_with = "null_as_absent")]
    pub(crate) completion_tokens: u64,
    #[serde(default)]
    pub(crate) prompt_tokens_details: Option<Details>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Details {
    #[serde(default)]
    pub(crate) cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default, deserialize_with = "null_as_absent")]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    /// Servers tell of errors in the middle of a stream in such a chunk.
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default, deserialize_with = "null_as_absent")]
    delta: Delta,
}

#[derive(Deserialize, Default)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
}

/// A stream that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamError {
    /// An event is no chunk of a chat completion.
    Malformed,
    /// The server says that something went wrong.
    Server,
    /// A count of the usage that cannot be.
    Count {
        /// Its name in the usage.
        field: &'static str,
    },
}

/// Some servers write null for what they leave out.
fn null_as_absent<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}

impl Usage {
    fn check(&self) -> Result<(), StreamError> {
        let details = self.prompt_tokens_details;
        let cached = details.and_then(|details| details.cached_tokens);
        let counts = [
            ("prompt_tokens", self.prompt_tokens),
            ("completion_tokens", self.completion_tokens),
            (
                "prompt_tokens_details.cached_tokens",
                cached.unwrap_or_default(),
            ),
        ];
        match counts.into_iter().find(|(_, count)| *count > TOKENS) {
            Some((field, _)) => Err(StreamError::Count { field }),
            None => Ok(()),
        }
    }
}

impl Stream {
    /// Takes bytes as they come; those after the end say nothing.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.done {
                return Ok(());
            }
            if self.line.len() + part.len() > LINE_BYTES {
                return Err(StreamError::Malformed);
            }
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.line(line.trim_ascii_end())?;
                self.line = line;
                self.line.clear();
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), StreamError> {
        // Comments and other fields say nothing.
        let Some(data) = line.strip_prefix(b"data:") else {
            return Ok(());
        };
        let data = data.trim_ascii_start();
        if data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_slice(data).map_err(|_| StreamError::Malformed)?;
        if chunk.error.is_some() {
            return Err(StreamError::Server);
        }
        if let Some(usage) = chunk.usage {
            usage.check()?;
            self.usage = Some(usage);
        }
        let Some(choice) = chunk.choices.into_iter().next() else {
            return Ok(());
        };
        let said = |text: &String| !text.is_empty();
        let Delta {
            content,
            reasoning_content,
        } = choice.delta;
        if let Some(text) = content
            .filter(said)
            .or_else(|| reasoning_content.filter(said))
        {
            self.begun = true;
            if self.text.len() + text.len() <= ANSWER_BYTES {
                self.text.push_str(&text);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRE: &str = ": a comment\r\n\r\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\r\n\r\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"äö\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":null,\"reasoning_content\":\"!\"}}]}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n\
        data: [DONE]\n\n";

    #[test]
    fn it_may_be_cut_anywhere() {
        for cut in 0..WIRE.len() {
            let mut stream = Stream::default();
            stream.push(&WIRE.as_bytes()[..cut]).unwrap();
            stream.push(&WIRE.as_bytes()[cut..]).unwrap();
            assert_eq!(stream.text, "äö!", "{cut}");
            assert!(stream.begun && stream.done);
            let usage = stream.usage.unwrap();
            assert_eq!((usage.prompt_tokens, usage.completion_tokens), (7, 2));
            assert_eq!(usage.prompt_tokens_details.unwrap().cached_tokens, Some(4));
        }
    }

    #[test]
    fn a_role_alone_is_no_first_token() {
        let mut stream = Stream::default();
        let role =
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
        stream.push(role.as_bytes()).unwrap();
        assert!(!stream.begun);
    }

    #[test]
    fn null_is_as_if_absent() {
        let mut stream = Stream::default();
        let wire = "data: {\"choices\":[{\"delta\":null,\"finish_reason\":\"stop\"}],\"error\":null}\n\n\
            data: {\"choices\":null,\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":null,\"prompt_tokens_details\":null}}\n\n";
        stream.push(wire.as_bytes()).unwrap();
        let usage = stream.usage.unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (7, 0));
        assert!(!stream.begun);
    }

    #[test]
    fn counts_that_cannot_be_are_named() {
        let push = |usage: &str| {
            let wire = format!("data: {{\"usage\":{{{usage}}}}}\n");
            Stream::default().push(wire.as_bytes())
        };
        let (most, above) = (TOKENS, TOKENS + 1);
        let all = format!("\"prompt_tokens\":{most},\"completion_tokens\":{most}");
        assert_eq!(push(&all), Ok(()));
        for (usage, field) in [
            (format!("\"prompt_tokens\":{above}"), "prompt_tokens"),
            (
                format!("\"prompt_tokens\":1,\"completion_tokens\":{}", u64::MAX),
                "completion_tokens",
            ),
            (
                format!("{all},\"prompt_tokens_details\":{{\"cached_tokens\":{above}}}"),
                "prompt_tokens_details.cached_tokens",
            ),
        ] {
            assert_eq!(push(&usage), Err(StreamError::Count { field }));
        }
    }

    #[test]
    fn nothing_counts_after_the_end() {
        let mut stream = Stream::default();
        stream.push(b"data: [DONE]\n\ndata: <html>\n").unwrap();
        stream.push(b"data: <html>\n").unwrap();
        assert!(stream.done);
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        let push = |text: &[u8]| Stream::default().push(text);
        assert_eq!(push(b"data: <html>\n"), Err(StreamError::Malformed));
        assert_eq!(
            push(b"data: {\"error\":{\"message\":\"no\"}}\n"),
            Err(StreamError::Server)
        );
        let endless = vec![b'x'; LINE_BYTES + 1];
        assert_eq!(push(&endless), Err(StreamError::Malformed));
    }
}
