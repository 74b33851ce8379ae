//! Compares our tokens with a running engine's: template and tokenizer at once.

use std::time::Duration;

use anyhow::{Context, Result};
use proto_api::v1::ScoreRequest;
use proto_api::v1::score_request::Input;
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::checks::{Diagnosis, Level};
use crate::client::{self, said};

/// How long one answer of the engine may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Prompts that tell templates and tokenizers apart: roles, blanks, line ends,
/// text beyond ASCII, text that looks like a special token.
fn probes(model: &str) -> Vec<(&'static str, Value)> {
    let chat = |messages: Value| json!({ "model": model, "messages": messages });
    vec![
        (
            "chat, one message",
            chat(json!([{ "role": "user", "content": "Hi, who are you?" }])),
        ),
        (
            "chat, system and turns",
            chat(json!([
                { "role": "system", "content": "You are  helpful.\n" },
                { "role": "user", "content": " Gr\u{fc}\u{df}e, \u{4f60}\u{597d} \u{1f600}" },
                { "role": "assistant", "content": "Hello." },
                { "role": "user", "content": "1234567890 <|im_end|> end" }
            ])),
        ),
        (
            "completion",
            json!({ "model": model, "prompt": "Once upon a time,\n\tthere was" }),
        ),
    ]
}

/// Asks the engine's `/tokenize` and the scorer for the same prompts' tokens.
pub(super) async fn compare(
    url: &str,
    model: Option<&str>,
    channel: Channel,
) -> Result<Vec<Diagnosis>> {
    let model = model.context("--engine needs --model")?;
    let mut scorer = client::scorer(channel);
    let mut found = Vec::new();
    for (name, body) in probes(model) {
        let theirs = engine_tokens(url, &body).await?;
        let bytes = serde_json::to_vec(&body)?.into();
        let input = if name == "completion" {
            Input::Completion(bytes)
        } else {
            Input::Chat(bytes)
        };
        let request = ScoreRequest {
            model: model.to_owned(),
            input: Some(input),
            include_token_ids: true,
            ..Default::default()
        };
        let ours = scorer
            .score(request)
            .await
            .map_err(said)?
            .into_inner()
            .token_ids;
        if ours != theirs {
            found.push(difference(model, name, &ours, &theirs));
        }
    }
    Ok(found)
}

async fn engine_tokens(url: &str, body: &Value) -> Result<Vec<u32>> {
    let target = format!("{}/tokenize", url.trim_end_matches('/'));
    let body = body.to_string();
    let text = tokio::task::spawn_blocking(move || post(&target, &body)).await??;
    let answer: Value = serde_json::from_str(&text).context("the engine's /tokenize answer")?;
    serde_json::from_value(answer["tokens"].clone()).context("no tokens in the engine's answer")
}

fn post(target: &str, body: &str) -> Result<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .build()
        .into();
    let mut response = agent
        .post(target)
        .header("content-type", "application/json")
        .send(body)
        .with_context(|| format!("POST {target}"))?;
    Ok(response.body_mut().read_to_string()?)
}

fn difference(model: &str, name: &str, ours: &[u32], theirs: &[u32]) -> Diagnosis {
    let first = ours
        .iter()
        .zip(theirs)
        .take_while(|(ours, theirs)| ours == theirs)
        .count();
    let around = |ids: &[u32]| format!("{:?}", ids.iter().skip(first).take(6).collect::<Vec<_>>());
    Diagnosis {
        level: Level::Error,
        subject: format!("model {model}, {name}"),
        seen: format!(
            "{} tokens, from position {first}: {}",
            ours.len(),
            around(ours)
        ),
        expected: format!("the engine's {} tokens: {}", theirs.len(), around(theirs)),
        advice: if first == 0 || ours.len() == theirs.len() {
            "is models[].source the directory that the engine serves (--model, --tokenizer)?"
                .to_owned()
        } else {
            "does the engine run with another --chat-template or default chat_template_kwargs?"
                .to_owned()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_first_position() {
        let found = difference("m", "chat", &[1, 2, 3], &[1, 2, 4, 5]);
        assert!(
            found.seen.contains("from position 2: [3]"),
            "{}",
            found.seen
        );
        assert!(
            found.expected.contains("4 tokens: [4, 5]"),
            "{}",
            found.expected
        );
    }
}
