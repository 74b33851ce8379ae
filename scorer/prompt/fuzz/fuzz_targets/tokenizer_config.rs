//! Any bytes as a model's configuration: an error, or a model that renders or
//! fails; never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scorer_prompt::{ChatRequest, Clock, Model, ModelFiles, ModelOptions, RenderLimits, RequestLimits};

const TOKENIZER: &[u8] = br#"{
    "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "decoder": null, "post_processor": null,
    "added_tokens": [{"id": 2, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
    "pre_tokenizer": {"type": "Whitespace"},
    "model": {"type": "WordLevel", "vocab": {"a": 0, "[UNK]": 1, "<s>": 2}, "unk_token": "[UNK]"}
}"#;

const BODY: &[u8] = br#"{
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": [1, 1.5, null]}}}],
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "u"}]},
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "content": "t"}
    ]
}"#;

fuzz_target!(|config: &[u8]| {
    let files = ModelFiles {
        tokenizer: TOKENIZER.to_vec(),
        tokenizer_config: Some(config.to_vec()),
        ..ModelFiles::default()
    };
    let options = ModelOptions {
        render: RenderLimits { fuel: 20_000, output_bytes: 1 << 20 },
        clock: Clock::from_fn(|| 0),
        ..ModelOptions::default()
    };
    if let Ok(model) = Model::from_files("m", files, options) {
        let request = ChatRequest::parse(BODY, &RequestLimits::default()).expect("the body is fine");
        let _ = model.chat(request);
    }
});
