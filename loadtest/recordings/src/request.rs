//! One recorded request and what the engine itself reported for it.

use serde::Deserialize;
use serde_json::Value;

/// A request as it was sent, and the engine's own answer about its cache.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// What the recording calls it.
    pub note: String,
    /// Which interface it was sent to.
    pub kind: RequestKind,
    /// The JSON body.
    pub body: Value,
    /// The prompt as the engine numbered its tokens.
    pub token_ids: Vec<u32>,
    /// What the engine generated; empty where it did not say.
    pub output_ids: Vec<u32>,
    /// What the engine reported as reused, in tokens.
    pub cached_tokens: u64,
    /// When it was sent, in seconds since the Unix epoch.
    pub sent_at: f64,
    /// Why the event stream cannot tell the cache's state at `sent_at`, if so.
    pub overlap: Option<Overlap>,
}

/// Which interface a request was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Completion,
    /// Token ids with images, through the engine's own interface.
    Media,
    /// Not a prompt: the prefix cache was reset.
    Reset,
}

/// Why no reader of the event stream can know the cache at a request's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// Other requests ran at the same time.
    Concurrent,
    /// The engine had cleared its cache while idle, and says so only with its
    /// next step: the first request after it sees an empty cache that the stream
    /// does not show yet.
    AfterIdleReset,
}

impl RecordedRequest {
    /// The cache salt, where the request has one.
    #[must_use]
    pub fn cache_salt(&self) -> Option<&str> {
        self.body.get("cache_salt").and_then(Value::as_str)
    }

    /// The model that the request names.
    #[must_use]
    pub fn model(&self) -> &str {
        self.body
            .get("model")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

#[derive(Deserialize)]
pub(crate) struct RawRequest {
    note: Option<String>,
    kind: String,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    prompt_token_ids: Vec<u32>,
    #[serde(default)]
    output_token_ids: Option<Vec<u32>>,
    cached_tokens: Option<u64>,
    t_send: f64,
}

impl From<RawRequest> for RecordedRequest {
    fn from(raw: RawRequest) -> Self {
        let note = raw.note.unwrap_or_default();
        let kind = match raw.kind.as_str() {
            "/v1/chat/completions" => RequestKind::Chat,
            "/v1/completions" => RequestKind::Completion,
            "mm" => RequestKind::Media,
            _ => RequestKind::Reset,
        };
        let overlap = if note.starts_with("concurrent") || note.starts_with("running") {
            Some(Overlap::Concurrent)
        } else if note == "after reset" {
            Some(Overlap::AfterIdleReset)
        } else {
            None
        };
        Self {
            note,
            kind,
            body: raw.body,
            token_ids: raw.prompt_token_ids,
            output_ids: raw.output_token_ids.unwrap_or_default(),
            cached_tokens: raw.cached_tokens.unwrap_or(0),
            sent_at: raw.t_send,
            overlap,
        }
    }
}
