//! Templates render as Python's Jinja renders them through `transformers`. The
//! expected results were made by `golden/make_golden.py`.

use std::fs;
use std::path::{Path, PathBuf};

use scorer_prompt::{
    ChatRequest, Clock, ContentFormat, Model, ModelOptions, PromptError, RequestLimits, Template,
};
use serde_json::{Map, Value};

const LIMITS: RequestLimits = RequestLimits {
    body_bytes: 1 << 20,
    messages: 64,
    items: 64,
    prompts: 64,
    token_ids: 64,
    template_bytes: 1 << 16,
};

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file)
}

fn read(file: &str) -> Value {
    serde_json::from_slice(&fs::read(golden(file)).unwrap()).unwrap()
}

/// 2024-02-29T15:04:05.
fn clock() -> Clock {
    Clock::from_fn(|| 1_709_219_045)
}

fn model() -> Model {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vllm/model");
    let options = ModelOptions {
        clock: clock(),
        ..ModelOptions::default()
    };
    Model::from_directory("golden", Path::new(directory), options).unwrap()
}

fn request(body: &Value, template: &str) -> ChatRequest {
    let mut body: Map<String, Value> = body.as_object().unwrap().clone();
    body.insert("chat_template".to_owned(), Value::from(template));
    ChatRequest::parse(Value::Object(body).to_string().as_bytes(), &LIMITS).unwrap()
}

#[test]
fn expressions_print_as_in_python() {
    let golden = read("expressions.json");
    let model = model();
    let mut wrong = Vec::new();
    for case in golden["cases"].as_array().unwrap() {
        let template = case["template"].as_str().unwrap();
        let rendered = model.render(request(&golden["body"], template));
        if rendered.as_ref().ok().map(String::as_str) != case["rendered"].as_str() {
            wrong.push(format!(
                "{template}\n  python {:?}\n  here   {rendered:?}",
                case["rendered"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn conversations_render_and_tokenize_as_in_python() {
    let model = model();
    let mut wrong = Vec::new();
    for case in read("conversations.json").as_array().unwrap() {
        let template = case["template"].as_str().unwrap();
        let source = fs::read_to_string(golden(&format!("templates/{template}.jinja"))).unwrap();
        let rendered = model.render(request(&case["body"], &source));
        if rendered.as_ref().ok().map(String::as_str) != case["rendered"].as_str() {
            wrong.push(format!(
                "{template}, {}\n  python {:?}\n  here   {rendered:?}",
                case["name"], case["rendered"]
            ));
            continue;
        }
        let ids = model
            .chat(request(&case["body"], &source))
            .ok()
            .map(|prompt| prompt.token_ids);
        assert_eq!(
            ids,
            serde_json::from_value(case["token_ids"].clone()).unwrap(),
            "{template}, {}",
            case["name"]
        );
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn content_formats_are_detected() {
    for case in read("conversations.json").as_array().unwrap() {
        let source = fs::read_to_string(golden(&format!(
            "templates/{}.jinja",
            case["template"].as_str().unwrap()
        )));
        let template = Template::compile(&source.unwrap(), Default::default(), clock()).unwrap();
        let expected = if case["parts"] == true {
            ContentFormat::Parts
        } else {
            ContentFormat::String
        };
        assert_eq!(template.content_format(), expected, "{}", case["template"]);
    }
}

#[test]
fn a_template_refuses_in_its_own_words() {
    let body = read("expressions.json")["body"].clone();
    let refused = model()
        .render(request(
            &body,
            "{{ raise_exception('roles must alternate') }}",
        ))
        .unwrap_err();
    let PromptError::Render(error) = refused else {
        panic!("{refused}")
    };
    assert_eq!(
        error.to_string(),
        "the chat template refuses the conversation: roles must alternate"
    );
}

/// What is not reproduced fails; it never prints something else.
#[test]
fn unsupported_filters_fail() {
    let body = read("expressions.json")["body"].clone();
    let model = model();
    for template in [
        "{{ data | pprint }}",
        "{{ [1] | random }}",
        "{{ 'a' | urlencode }}",
        "{{ debug() }}",
        "{{ cycler('a') }}",
    ] {
        let error = model.render(request(&body, template)).unwrap_err();
        assert!(
            error.to_string().contains("cannot be rendered"),
            "{template}: {error}"
        );
    }
}
