//! Every recorded request gives the token ids that the engine reported.

use std::fs;
use std::path::Path;

use scorer_prompt::{
    ChatRequest, CompletionRequest, Model, ModelOptions, RequestLimits, TokenizedPrompt,
};
use serde_json::Value;

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vllm");

fn model() -> Model {
    Model::from_directory(
        "recorded",
        &Path::new(RECORDINGS).join("model"),
        ModelOptions::default(),
    )
    .unwrap()
}

fn tokenize(model: &Model, kind: &str, body: &[u8]) -> Option<TokenizedPrompt> {
    let limits = RequestLimits::default();
    match kind {
        "/v1/chat/completions" => Some(
            model
                .chat(ChatRequest::parse(body, &limits).unwrap())
                .unwrap(),
        ),
        "/v1/completions" => {
            let mut prompts = model
                .completion(CompletionRequest::parse(body, &limits).unwrap())
                .unwrap();
            assert_eq!(prompts.len(), 1);
            prompts.pop()
        }
        _ => None,
    }
}

fn ids(value: &Value) -> Option<Vec<u32>> {
    serde_json::from_value(value.clone()).ok()
}

#[test]
fn every_recorded_prompt_has_the_engines_token_ids() {
    let model = model();
    let mut checked = 0;
    let mut left_out = 0;
    for entry in fs::read_dir(Path::new(RECORDINGS).join("traces")).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_string_lossy().ends_with(".requests.jsonl") {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let body = record["body"].to_string();
            let Some(prompt) = tokenize(&model, record["kind"].as_str().unwrap(), body.as_bytes())
            else {
                left_out += 1;
                continue;
            };
            let reported =
                ids(&record["prompt_token_ids"]).or_else(|| ids(&record["tokenize_ids"]));
            assert_eq!(
                Some(&prompt.token_ids),
                reported.as_ref(),
                "{}: {body}",
                path.display()
            );
            if let Some(tokenized) = ids(&record["tokenize_ids"]) {
                assert_eq!(prompt.token_ids, tokenized);
            }
            assert_eq!(
                Some(prompt.model.as_str()),
                record["body"]["model"].as_str()
            );
            let salt = record["body"]["cache_salt"].as_str();
            assert_eq!(prompt.salt.as_ref().map(|salt| salt.expose()), salt);
            checked += 1;
        }
    }
    assert_eq!((checked, left_out), (819, 21));
}
