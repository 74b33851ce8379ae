//! One request to the gateway, and what comes back.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use http::HeaderValue;
use http_body_util::BodyExt as _;
use loadtest_gateway::{Client, LIMIT, post};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::world::MODEL;

/// The longest answer that is read, in bytes.
const ANSWER_BYTES: usize = 64 << 20;

/// Sends requests, each over a connection of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender(SocketAddr);

/// An answer that came to its end.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    /// The number in the engine's name.
    pub(super) engine: usize,
    pub(super) sent: Instant,
    pub(super) first: Instant,
    pub(super) last: Instant,
    pub(super) prompt: u32,
    pub(super) cached: u32,
    pub(super) generated: u32,
}

impl Sender {
    pub(super) fn new(gateway: SocketAddr) -> Self {
        Self(gateway)
    }

    /// Asks for a streamed completion of so many tokens.
    pub(super) async fn ask(&self, id: &str, prompt: String, tokens: u32) -> Result<Answered> {
        let body = json!({
            "model": MODEL, "prompt": prompt, "max_tokens": tokens, "ignore_eos": true,
            "temperature": 0, "stream": true, "stream_options": {"include_usage": true},
        });
        let mut request = post("fleet.test", "/v1/completions", &body);
        let header = HeaderValue::from_str(id)?;
        request.headers_mut().insert("x-request-id", header);
        let sent = Instant::now();
        let mut client = Client::connect(self.0).await?;
        let response = client.send(request).await?;
        let status = response.status();
        let engine = response.headers().get("x-engine").cloned();
        let mut body = response.into_body();
        let (mut text, mut first, mut last) = (Vec::new(), None, sent);
        while let Some(frame) = timeout(LIMIT, body.frame())
            .await
            .context("no more of it")?
        {
            let Ok(data) = frame.context("the answer broke off")?.into_data() else {
                continue;
            };
            last = Instant::now();
            first = first.or(Some(last));
            text.extend_from_slice(&data);
            ensure!(text.len() <= ANSWER_BYTES, "the answer is too long");
        }
        let text = String::from_utf8_lossy(&text);
        if status != 200 {
            bail!("{id}: {status}: {text}");
        }
        let usage = usage(&text).with_context(|| format!("{id}: no usage"))?;
        let count = |value: &Value| value.as_u64().and_then(|count| u32::try_from(count).ok());
        Ok(Answered {
            engine: number(engine.as_ref()).context("no engine's name")?,
            sent,
            first: first.context("nothing came")?,
            last,
            prompt: count(&usage["prompt_tokens"]).context("no prompt_tokens")?,
            cached: count(&usage["prompt_tokens_details"]["cached_tokens"])
                .context("no cached_tokens")?,
            generated: count(&usage["completion_tokens"]).context("no completion_tokens")?,
        })
    }
}

/// Of the event before the last.
fn usage(text: &str) -> Option<Value> {
    let events = text
        .lines()
        .rev()
        .filter_map(|line| line.strip_prefix("data: "));
    let mut parsed = events.filter_map(|event| serde_json::from_str::<Value>(event).ok());
    let usage = parsed.next()?.get_mut("usage").map(Value::take)?;
    (!usage.is_null()).then_some(usage)
}

fn number(engine: Option<&HeaderValue>) -> Option<usize> {
    engine?.to_str().ok()?.strip_prefix("engine-")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_that_of_the_last_event() {
        let text = "data: {\"usage\":null}\n\ndata: {\"usage\":{\"prompt_tokens\":7}}\n\n\
                    data: [DONE]\n\n";
        assert_eq!(usage(text).unwrap()["prompt_tokens"], 7);
        assert_eq!(usage("data: {\"usage\":null}\n\ndata: [DONE]\n\n"), None);
        assert_eq!(usage(""), None);
    }

    #[test]
    fn engines_are_known_by_their_number() {
        let of = |name: &'static str| number(Some(&HeaderValue::from_static(name)));
        assert_eq!(of("engine-12"), Some(12));
        assert_eq!(of("12"), None);
        assert_eq!(number(None), None);
    }
}
