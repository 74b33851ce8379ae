//! Any bytes as a request body: an error, or token ids; never a panic, and the
//! same both times.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use scorer_prompt::{ChatRequest, Clock, CompletionRequest, Model, ModelOptions, RenderLimits, RequestLimits};

const LIMITS: RequestLimits = RequestLimits {
    body_bytes: 1 << 16,
    messages: 64,
    items: 64,
    prompts: 64,
    token_ids: 1 << 12,
    template_bytes: 1 << 12,
};

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let template = root.join("../tests/golden/templates/tools.jinja");
    let options = ModelOptions {
        chat_template: std::fs::read_to_string(template).ok(),
        max_model_len: Some(1 << 12),
        render: RenderLimits { fuel: 20_000, output_bytes: 1 << 20 },
        clock: Clock::from_fn(|| 0),
        ..ModelOptions::default()
    };
    Model::from_directory("m", &root.join("../../../testdata/vllm/model"), options).expect("the recorded model loads")
});

fuzz_target!(|body: &[u8]| {
    if let Ok(request) = ChatRequest::parse(body, &LIMITS) {
        assert_eq!(MODEL.chat(request.clone()), MODEL.chat(request));
    }
    if let Ok(request) = CompletionRequest::parse(body, &LIMITS) {
        assert_eq!(MODEL.completion(request.clone()), MODEL.completion(request));
    }
});
