//! How a model's files decide its tokens and its template.

use std::fs;
use std::path::Path;

use scorer_prompt::{
    ChatRequest, CompletionRequest, LoadError, Model, ModelFiles, ModelOptions, PromptError,
    RequestLimits, TokenizerConfig,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const BOS: u32 = 4093;
const EOS: u32 = 4095;

fn recorded_files() -> ModelFiles {
    ModelFiles::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vllm/model"))
        .unwrap()
}

/// The recorded model with other configuration.
fn files(config: Value) -> ModelFiles {
    ModelFiles {
        tokenizer_config: Some(config.to_string().into_bytes()),
        ..recorded_files()
    }
}

fn load(files: ModelFiles) -> Result<Model, LoadError> {
    Model::from_files(
        "m",
        files,
        ModelOptions {
            max_model_len: Some(64),
            ..ModelOptions::default()
        },
    )
}

fn with_config(config: Value) -> Model {
    load(files(config)).unwrap()
}

fn complete(model: &Model, body: Value) -> Result<Vec<Vec<u32>>, PromptError> {
    let request =
        CompletionRequest::parse(body.to_string().as_bytes(), &RequestLimits::default()).unwrap();
    Ok(model
        .completion(request)?
        .into_iter()
        .map(|prompt| prompt.token_ids)
        .collect())
}

fn render(model: &Model, mut body: Value) -> Result<String, PromptError> {
    body["messages"] = json!([{"role": "user", "content": "hi"}]);
    model
        .render(ChatRequest::parse(body.to_string().as_bytes(), &RequestLimits::default()).unwrap())
}

#[test]
fn flags_decide_what_is_put_around_a_text() {
    let tokens = json!({"bos_token": "<|endoftext|>", "eos_token": {"content": "<|im_end|>"}});
    let ids = |flags: Value| {
        let mut config = tokens.clone();
        config
            .as_object_mut()
            .unwrap()
            .extend(flags.as_object().unwrap().clone());
        complete(&with_config(config), json!({"prompt": "to be"}))
            .unwrap()
            .remove(0)
    };
    let plain = ids(json!({}));
    let with = |before: &[u32], after: &[u32]| [before, &plain, after].concat();
    assert_eq!(ids(json!({"add_bos_token": true})), with(&[BOS], &[]));
    assert_eq!(
        ids(json!({"add_bos_token": true, "add_eos_token": true})),
        with(&[BOS], &[EOS])
    );
    assert_eq!(ids(json!({"add_eos_token": true})), with(&[], &[EOS]));
    assert_eq!(
        ids(json!({"add_eos_token": true, "tokenizer_class": "LlamaTokenizerFast"})),
        with(&[BOS], &[EOS])
    );
    assert_eq!(
        ids(json!({"add_bos_token": false, "tokenizer_class": "LlamaTokenizer"})),
        plain
    );

    let model = with_config(json!({"bos_token": "<|endoftext|>", "add_bos_token": true}));
    let off = complete(
        &model,
        json!({"prompt": "to be", "add_special_tokens": false}),
    )
    .unwrap();
    assert_eq!(off, [plain]);
}

#[test]
fn truncation_keeps_special_tokens_and_the_asked_side() {
    let model = with_config(json!({"bos_token": "<|endoftext|>", "add_bos_token": true}));
    let text = "one two three four five six";
    let all = complete(&model, json!({"prompt": text})).unwrap().remove(0);
    let cut = |fields: Value| {
        let mut body = json!({"prompt": text});
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        complete(&model, body).unwrap().remove(0)
    };
    assert_eq!(
        cut(json!({"truncate_prompt_tokens": 3})),
        [&[BOS], &all[all.len() - 2..]].concat()
    );
    assert_eq!(
        cut(json!({"truncate_prompt_tokens": 3, "truncation_side": "right"})),
        all[..3]
    );
    assert_eq!(cut(json!({"truncate_prompt_tokens": 1000})), all);
    assert_eq!(
        cut(json!({"truncate_prompt_tokens": -1, "max_tokens": 60})).len(),
        4
    );
    let tokens = complete(
        &model,
        json!({"prompt": [1, 2, 3], "truncate_prompt_tokens": 2}),
    )
    .unwrap();
    assert_eq!(tokens, [[2, 3]]);

    let too_many = complete(
        &model,
        json!({"prompt": text, "truncate_prompt_tokens": -1, "max_tokens": 64}),
    );
    assert!(matches!(
        too_many,
        Err(PromptError::ContextTooSmall {
            context: 64,
            output: 64
        })
    ));
    let unknown = Model::from_files("m", recorded_files(), ModelOptions::default()).unwrap();
    let unknown = complete(
        &unknown,
        json!({"prompt": text, "truncate_prompt_tokens": -1}),
    );
    assert!(matches!(unknown, Err(PromptError::ContextUnknown { .. })));
}

#[test]
fn a_file_that_asks_for_truncation_and_padding_is_not_obeyed() {
    let mut files = recorded_files();
    let mut tokenizer: Value = serde_json::from_slice(&files.tokenizer).unwrap();
    tokenizer["truncation"] =
        json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    tokenizer["padding"] = json!({"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "x"});
    files.tokenizer = tokenizer.to_string().into_bytes();
    let body = json!({"prompt": "one two three four"});
    assert_eq!(
        complete(&load(files).unwrap(), body.clone()).unwrap(),
        complete(&load(recorded_files()).unwrap(), body).unwrap()
    );
}

#[test]
fn tokens_that_only_the_configuration_has_are_added() {
    let token = json!({"content": "<tool>", "special": true});
    let model = with_config(
        json!({"added_tokens_decoder": {"4096": token}, "additional_special_tokens": ["<more>"]}),
    );
    let ids = complete(&model, json!({"prompt": "<more><tool>"})).unwrap();
    assert_eq!(ids, [[4097, 4096]]);

    let older = ModelFiles {
        added_tokens: Some(br#"{"<b>": 4097, "<a>": 4096}"#.to_vec()),
        ..files(json!({}))
    };
    assert_eq!(
        complete(&load(older).unwrap(), json!({"prompt": "<a><b>"})).unwrap(),
        [[4096, 4097]]
    );
}

#[test]
fn special_tokens_are_template_variables() {
    let template = "{{ bos_token }}|{{ eos_token }}|{{ image_token }}|{{ pad_token is defined }}|{{ additional_special_tokens }}";
    let config = json!({
        "chat_template": template, "bos_token": {"content": "<s>"}, "eos_token": "</s>", "pad_token": null,
        "extra_special_tokens": {"image_token": "<img>"}, "additional_special_tokens": ["<x>"],
    });
    assert_eq!(
        render(&with_config(config.clone()), json!({})).unwrap(),
        "<s>|</s>|<img>|False|['<x>']"
    );
    let map = |files: ModelFiles| ModelFiles {
        special_tokens_map: Some(br#"{"eos_token": "<end>"}"#.to_vec()),
        ..files
    };
    assert_eq!(
        render(&load(map(files(config.clone()))).unwrap(), json!({})).unwrap(),
        "<s>|<end>|<img>|False|['<x>']"
    );
    let mut newer = config;
    newer["added_tokens_decoder"] = json!({});
    assert_eq!(
        render(&load(map(files(newer))).unwrap(), json!({})).unwrap(),
        "<s>|</s>|<img>|False|['<x>']"
    );
}

#[test]
fn templates_are_chosen_as_the_engine_chooses() {
    let tools = json!({"tools": [{"function": {"name": "f"}}]});
    let both = |model: &Model| {
        [
            render(model, json!({})).unwrap(),
            render(model, tools.clone()).unwrap(),
        ]
    };
    let named = json!({"chat_template": [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]});
    assert_eq!(both(&with_config(named.clone())), ["plain", "tools"]);

    let mut newer = files(named.clone());
    newer.chat_template = Some(b"file".to_vec());
    newer.additional_templates = vec![("tool_use".to_owned(), b"file tools".to_vec())];
    assert_eq!(both(&load(newer).unwrap()), ["file", "file tools"]);

    let processor = ModelFiles {
        chat_template_json: Some(br#"{"chat_template": "processor"}"#.to_vec()),
        ..files(named.clone())
    };
    assert_eq!(both(&load(processor).unwrap()), ["processor", "tools"]);
    let only = ModelFiles {
        processor_config: Some(br#"{"chat_template": "processor"}"#.to_vec()),
        ..files(json!({}))
    };
    assert_eq!(both(&load(only).unwrap()), ["processor", "processor"]);

    let options = ModelOptions {
        chat_template: Some("configured {{ who }}".to_owned()),
        template_variables: json!({"who": "you"}).as_object().unwrap().clone(),
        ..ModelOptions::default()
    };
    let configured = Model::from_files("m", files(named), options).unwrap();
    assert_eq!(both(&configured), ["configured you", "configured you"]);
    assert_eq!(
        render(&configured, json!({"chat_template_kwargs": {"who": "me"}})).unwrap(),
        "configured me"
    );

    let none = render(&with_config(json!({})), tools).unwrap_err();
    assert_eq!(
        none.to_string(),
        "model \"m\" has no chat template for requests with tools; configure one for it, or use completions"
    );
}

#[test]
fn a_request_may_bring_a_template_where_that_is_allowed() {
    let limits = RequestLimits {
        template_bytes: 128,
        ..RequestLimits::default()
    };
    let render = |template: &str| {
        let body = json!({"messages": [], "chat_template": template}).to_string();
        load(recorded_files())
            .unwrap()
            .render(ChatRequest::parse(body.as_bytes(), &limits).unwrap())
    };
    assert_eq!(render("own {{ messages | length }}").unwrap(), "own 0");
    let broken = render("{% for").unwrap_err();
    assert!(matches!(broken, PromptError::Template(_)), "{broken}");
    let endless =
        render("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}")
            .unwrap_err();
    assert!(matches!(endless, PromptError::Render(_)), "{endless}");
}

#[test]
fn rendering_is_bounded() {
    let limited = |template: &str, fuel, output_bytes| {
        let render_limits = scorer_prompt::RenderLimits { fuel, output_bytes };
        let options = ModelOptions {
            chat_template: Some(template.to_owned()),
            render: render_limits,
            ..ModelOptions::default()
        };
        render(
            &Model::from_files("m", recorded_files(), options).unwrap(),
            json!({}),
        )
    };
    let endless = "{% for a in range(9999) %}x{% endfor %}";
    let error = |result: Result<String, PromptError>| format!("{:?}", result.unwrap_err());
    assert_eq!(
        error(limited(endless, 1_000, 1 << 20)),
        "Render(OutOfFuel { limit: 1000 })"
    );
    assert_eq!(
        error(limited(endless, 1 << 40, 100)),
        "Render(TooLong { limit: 100 })"
    );
    let recursion = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
    assert!(error(limited(recursion, 1 << 40, 100)).contains("recursion"));
    assert_eq!(limited(endless, 1 << 20, 1 << 20).unwrap().len(), 9_999);
}

#[test]
fn broken_files_are_named() {
    let error = |files: ModelFiles| load(files).unwrap_err().to_string();
    let config = |config: Value| error(files(config));
    assert!(
        error(ModelFiles {
            tokenizer: b"{}".to_vec(),
            ..recorded_files()
        })
        .starts_with("tokenizer.json: ")
    );
    assert!(
        error(ModelFiles {
            tokenizer_config: Some(b"{".to_vec()),
            ..recorded_files()
        })
        .starts_with("tokenizer_config.json: not usable JSON")
    );
    assert!(
        error(ModelFiles {
            chat_template: Some(vec![0xff]),
            ..recorded_files()
        })
        .starts_with("chat_template.jinja: not UTF-8")
    );
    assert_eq!(
        config(json!([])),
        "tokenizer_config.json: the file: found an array, allowed is an object"
    );
    assert_eq!(
        config(json!({"chat_template": 1})),
        "tokenizer_config.json: chat_template: found a number, allowed is a template, or a list of objects with name and template"
    );
    assert_eq!(
        config(json!({"added_tokens_decoder": {"1": {}}})),
        "tokenizer_config.json: added_tokens_decoder: found an object, allowed is an object with content"
    );
    assert_eq!(
        config(json!({"chat_template": "{% if"})),
        "tokenizer_config.json: template \"default\" cannot be compiled"
    );

    let empty = TempDir::new().unwrap();
    let missing = Model::from_directory("m", empty.path(), ModelOptions::default())
        .unwrap_err()
        .to_string();
    assert!(
        missing
            .ends_with("tokenizer.json: missing; a model needs its tokenizer.json, copy it there"),
        "{missing}"
    );
    let large = fs::File::create(empty.path().join("tokenizer.json")).unwrap();
    large.set_len((256 << 20) + 1).unwrap();
    assert!(matches!(
        ModelFiles::read(empty.path()),
        Err(LoadError::TooLarge {
            limit: 268_435_456,
            ..
        })
    ));
}

#[test]
fn a_tokenizer_config_is_read_alone() {
    let config =
        TokenizerConfig::parse(br#"{"chat_template": {"default": "x"}, "tokenizer_class": "C"}"#)
            .unwrap();
    assert_eq!(
        config.chat_templates,
        [("default".to_owned(), "x".to_owned())]
    );
    assert_eq!(config.tokenizer_class.as_deref(), Some("C"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]
    #[test]
    fn the_same_body_gives_the_same_tokens(text in "\\PC{0,200}", role in "user|assistant|system") {
        let model = load(recorded_files()).unwrap();
        let body = json!({"messages": [{"role": role, "content": text}]}).to_string();
        let tokens = || model.chat(ChatRequest::parse(body.as_bytes(), &RequestLimits::default()).unwrap()).unwrap();
        proptest::prop_assert_eq!(tokens(), tokens());
    }
}
