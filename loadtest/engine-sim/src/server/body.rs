//! What a client asks for: OpenAI bodies, read as vLLM reads them.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// Which interface a request came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Completion,
}

/// A request that can be served.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) model: String,
    pub(crate) prompt: Prompt,
    pub(crate) max_tokens: Option<usize>,
    pub(crate) ignore_end: bool,
    pub(crate) salt: Option<String>,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) return_token_ids: bool,
}

/// What the reply is to follow.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    Text(String),
    TokenIds(Vec<u32>),
}

/// Why a body is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("body: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{field}: {problem}")]
    Field {
        field: &'static str,
        problem: &'static str,
    },
}

#[derive(Deserialize)]
struct Common {
    model: String,
    #[serde(default)]
    max_tokens: Option<usize>,
    #[serde(default)]
    max_completion_tokens: Option<usize>,
    #[serde(default)]
    ignore_eos: bool,
    #[serde(default)]
    cache_salt: Option<String>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    n: Option<u32>,
    #[serde(default)]
    return_token_ids: Option<bool>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize)]
struct ChatBody {
    #[serde(flatten)]
    common: Common,
    messages: Vec<Message>,
    #[serde(default)]
    add_generation_prompt: Option<bool>,
}

#[derive(Deserialize)]
struct CompletionBody {
    #[serde(flatten)]
    common: Common,
    prompt: CompletionPrompt,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default, deserialize_with = "content")]
    content: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CompletionPrompt {
    Text(String),
    TokenIds(Vec<u32>),
    Texts(Vec<String>),
    Lists(Vec<Vec<u32>>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

/// Reads a body.
pub(crate) fn read(kind: Kind, body: &[u8]) -> Result<Asked, BodyError> {
    match kind {
        Kind::Chat => {
            let body: ChatBody = serde_json::from_slice(body)?;
            if body.messages.is_empty() {
                return Err(field("messages", "is empty; give at least one message"));
            }
            let prompt = Prompt::Text(render(&body));
            asked(body.common, prompt)
        }
        Kind::Completion => {
            let body: CompletionBody = serde_json::from_slice(body)?;
            asked(body.common, one(body.prompt)?)
        }
    }
}

/// `ChatML`, the template of the models that the project tests with.
fn render(body: &ChatBody) -> String {
    let length = |message: &Message| message.role.len() + message.content.len() + 32;
    let mut text = String::with_capacity(64 + body.messages.iter().map(length).sum::<usize>());
    for message in &body.messages {
        text.extend(["<|im_start|>", &message.role, "\n"]);
        text.extend([message.content.as_str(), "<|im_end|>\n"]);
    }
    if body.add_generation_prompt.unwrap_or(true) {
        text.push_str("<|im_start|>assistant\n");
    }
    text
}

fn one(prompt: CompletionPrompt) -> Result<Prompt, BodyError> {
    let several = || field("prompt", "holds several prompts; send one");
    Ok(match prompt {
        CompletionPrompt::Text(text) => Prompt::Text(text),
        CompletionPrompt::TokenIds(ids) => Prompt::TokenIds(ids),
        CompletionPrompt::Texts(texts) => {
            let [text] = <[_; 1]>::try_from(texts).map_err(|_| several())?;
            Prompt::Text(text)
        }
        CompletionPrompt::Lists(lists) => {
            let [ids] = <[_; 1]>::try_from(lists).map_err(|_| several())?;
            Prompt::TokenIds(ids)
        }
    })
}

fn asked(common: Common, prompt: Prompt) -> Result<Asked, BodyError> {
    if common.n.is_some_and(|n| n != 1) {
        return Err(field("n", "must be 1; a simulated engine gives one reply"));
    }
    let max_tokens = common.max_completion_tokens.or(common.max_tokens);
    if max_tokens == Some(0) {
        return Err(field("max_tokens", "must be at least 1"));
    }
    Ok(Asked {
        model: common.model,
        prompt,
        max_tokens,
        ignore_end: common.ignore_eos,
        salt: common.cache_salt.filter(|salt| !salt.is_empty()),
        stream: common.stream.unwrap_or(false),
        include_usage: common.stream_options.is_some_and(|some| some.include_usage),
        return_token_ids: common.return_token_ids.unwrap_or(false),
    })
}

/// One text; of several parts, each on a line of its own.
fn content<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Option::<Content>::deserialize(deserializer)? {
        None => String::new(),
        Some(Content::Text(text)) => text,
        Some(Content::Parts(parts)) => {
            if parts.iter().any(|part| part.kind != "text") {
                return Err(D::Error::custom("only parts of type `text` can be read"));
            }
            let texts: Vec<String> = parts.into_iter().map(|part| part.text).collect();
            texts.join("\n")
        }
    })
}

fn field(field: &'static str, problem: &'static str) -> BodyError {
    BodyError::Field { field, problem }
}
