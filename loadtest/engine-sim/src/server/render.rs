//! Responses as vLLM writes them.

use std::ops::Range;

use serde_json::{Value, json};

use super::answer::unix_seconds;
use super::body::Kind;
use super::ongoing::Ongoing;

/// A response in one piece.
pub(crate) fn whole(ongoing: &Ongoing) -> Value {
    let all = 0..ongoing.reply.length();
    let text = text(ongoing, all.clone());
    let mut choice = match ongoing.kind {
        Kind::Chat => json!({
            "index": 0, "message": {"role": "assistant", "content": text}, "logprobs": null,
        }),
        Kind::Completion => json!({"index": 0, "text": text, "logprobs": null}),
    };
    choice["finish_reason"] = json!(ongoing.reply.finish_reason());
    if ongoing.asked.return_token_ids {
        choice["token_ids"] = json!(token_ids(ongoing, all));
    }
    let object = match ongoing.kind {
        Kind::Chat => "chat.completion",
        Kind::Completion => "text_completion",
    };
    let mut response = envelope(ongoing, object, json!([choice]));
    response["usage"] = usage(ongoing);
    if let Some(prompt) = &ongoing.prompt_ids {
        response["prompt_token_ids"] = json!(prompt);
    }
    response
}

/// Server-sent events for these tokens: one each, then what follows the last one.
pub(crate) fn chunks(ongoing: &Ongoing, tokens: Range<usize>) -> String {
    let mut out = String::new();
    if tokens.start == 0 && ongoing.kind == Kind::Chat {
        event(&mut out, &first_chunk(ongoing));
    }
    for place in tokens.clone() {
        event(&mut out, &chunk(ongoing, place));
    }
    if tokens.end == ongoing.reply.length() {
        if ongoing.asked.include_usage {
            let mut last = envelope(ongoing, chunk_object(ongoing), json!([]));
            last["usage"] = usage(ongoing);
            event(&mut out, &last);
        }
        out.push_str("data: [DONE]\n\n");
    }
    out
}

/// The text of these tokens.
pub(crate) fn text(ongoing: &Ongoing, tokens: Range<usize>) -> String {
    let tokenizer = &ongoing.shared.config.tokenizer;
    tokens
        .map(|place| ongoing.reply.text(tokenizer, place))
        .collect()
}

fn token_ids(ongoing: &Ongoing, tokens: Range<usize>) -> Vec<u32> {
    let tokenizer = &ongoing.shared.config.tokenizer;
    tokens
        .map(|place| ongoing.reply.token(tokenizer, place))
        .collect()
}

fn first_chunk(ongoing: &Ongoing) -> Value {
    let choice = json!({
        "index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": null,
        "finish_reason": null,
    });
    let mut first = envelope(ongoing, chunk_object(ongoing), json!([choice]));
    if let Some(prompt) = &ongoing.prompt_ids {
        first["prompt_token_ids"] = json!(prompt);
    }
    first
}

fn chunk(ongoing: &Ongoing, place: usize) -> Value {
    let text = text(ongoing, place..place + 1);
    let mut choice = match ongoing.kind {
        Kind::Chat => json!({"index": 0, "delta": {"content": text}, "logprobs": null}),
        Kind::Completion => json!({"index": 0, "text": text, "logprobs": null}),
    };
    let last = place + 1 == ongoing.reply.length();
    choice["finish_reason"] = json!(last.then(|| ongoing.reply.finish_reason()));
    if ongoing.asked.return_token_ids {
        choice["token_ids"] = json!(token_ids(ongoing, place..place + 1));
    }
    envelope(ongoing, chunk_object(ongoing), json!([choice]))
}

fn chunk_object(ongoing: &Ongoing) -> &'static str {
    match ongoing.kind {
        Kind::Chat => "chat.completion.chunk",
        Kind::Completion => "text_completion",
    }
}

/// What every response and event has; the fingerprint is the engine's name.
fn envelope(ongoing: &Ongoing, object: &str, choices: Value) -> Value {
    let mut value = json!({
        "id": ongoing.id, "object": object, "created": unix_seconds(),
        "model": ongoing.asked.model, "system_fingerprint": ongoing.shared.config.name,
    });
    value["choices"] = choices;
    value
}

fn usage(ongoing: &Ongoing) -> Value {
    let (prompt, reply) = (ongoing.prompt_tokens, ongoing.reply.length());
    json!({
        "prompt_tokens": prompt, "total_tokens": prompt + reply, "completion_tokens": reply,
        "prompt_tokens_details": {"cached_tokens": ongoing.cached_tokens()},
    })
}

fn event(out: &mut String, value: &Value) {
    out.push_str("data: ");
    out.push_str(&value.to_string());
    out.push_str("\n\n");
}
