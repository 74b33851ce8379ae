//! What bodies are accepted, and how the others are refused.

use proptest::prelude::*;
use scorer_prompt::{
    BodyError, ChatRequest, CompletionPrompt, CompletionRequest, JsonError, RequestLimits, Truncate,
};
use serde_json::{Value, json};

fn chat(body: &Value) -> Result<ChatRequest, BodyError> {
    ChatRequest::parse(body.to_string().as_bytes(), &RequestLimits::default())
}

fn completion(body: &Value) -> Result<CompletionRequest, BodyError> {
    CompletionRequest::parse(body.to_string().as_bytes(), &RequestLimits::default())
}

fn with_message(message: Value) -> Value {
    json!({"messages": [{"role": "user", "content": "hi"}, message]})
}

#[test]
fn a_completion_may_hold_four_kinds_of_prompt() {
    let text = |text: &str| CompletionPrompt::Text(text.to_owned());
    for (prompt, expected) in [
        (json!("a"), vec![text("a")]),
        (json!(["a", "b"]), vec![text("a"), text("b")]),
        (json!([1, 2]), vec![CompletionPrompt::Tokens(vec![1, 2])]),
        (
            json!([[1], [2, 4294967295u32]]),
            vec![
                CompletionPrompt::Tokens(vec![1]),
                CompletionPrompt::Tokens(vec![2, u32::MAX]),
            ],
        ),
    ] {
        let body = json!({"model": "m", "prompt": prompt, "echo": true, "suffix": "ignored", "cache_salt": "s"});
        let request = completion(&body).unwrap();
        assert_eq!(request.prompts(), expected);
        assert_eq!(request.model(), Some("m"));
        assert_eq!(request.cache_salt().map(|salt| salt.expose()), Some("s"));
        assert!(request.tokenize_options().add_special_tokens);
    }
}

#[test]
fn wrong_completions_are_refused_where_they_are_wrong() {
    for (body, message) in [
        (
            json!({}),
            "prompt: missing; give a string, an array of strings, an array of token ids, or an array of such arrays",
        ),
        (json!({"prompt": null}), "prompt: missing;"),
        (
            json!({"prompt": 1}),
            "prompt: found a number, allowed is a string",
        ),
        (json!({"prompt": []}), "prompt: found an empty array"),
        (json!({"prompt": [[]]}), "prompt[0]: found an empty array"),
        (
            json!({"prompt": [1, "a"]}),
            "prompt[1]: found a string, allowed is a token id",
        ),
        (
            json!({"prompt": [1, -1]}),
            "prompt[1]: found -1, allowed is a token id",
        ),
        (json!({"prompt": [1.5]}), "prompt[0]: found 1.5"),
        (
            json!({"prompt": [4294967296u64]}),
            "prompt[0]: found 4294967296",
        ),
        (
            json!({"prompt": ["a", {}]}),
            "prompt[1]: found an object, allowed is a string or an array of token ids",
        ),
        (
            json!({"prompt": "a", "model": 1}),
            "model: found a number, allowed is a string",
        ),
        (
            json!({"prompt": "a", "cache_salt": ""}),
            "cache_salt: found an empty string",
        ),
        (
            json!({"prompt": "a", "add_special_tokens": 1}),
            "add_special_tokens: found a number, allowed is a boolean",
        ),
        (
            json!({"prompt": "a", "truncate_prompt_tokens": -2}),
            "truncate_prompt_tokens: found -2, allowed is -1",
        ),
        (
            json!({"prompt": "a", "truncation_side": "up"}),
            "truncation_side: found \"up\", allowed is \"left\" or \"right\"",
        ),
        (
            json!({"prompt_embeds": "AAAA"}),
            "prompt_embeds: a part of type \"prompt_embeds\" takes a number of tokens",
        ),
    ] {
        let error = completion(&body).unwrap_err().to_string();
        assert!(error.starts_with(message), "{body}: {error}");
    }
}

#[test]
fn wrong_chats_are_refused_where_they_are_wrong() {
    let call = |function: Value| {
        with_message(
            json!({"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": function}]}),
        )
    };
    for (body, message) in [
        (json!({}), "messages: missing; give an array of messages"),
        (
            json!({"messages": {}}),
            "messages: found an object, allowed is an array",
        ),
        (
            json!({"messages": ["x"]}),
            "messages[0]: found a string, allowed is an object",
        ),
        (
            with_message(json!({"content": "x"})),
            "messages[1].role: missing",
        ),
        (
            with_message(json!({"role": 1})),
            "messages[1].role: found a number, allowed is a string",
        ),
        (
            with_message(json!({"role": "user", "content": 1})),
            "messages[1].content: found a number, allowed is a string, an array of content parts, or null",
        ),
        (
            with_message(json!({"role": "user", "content": [{"text": "x"}]})),
            "messages[1].content[0].type: missing",
        ),
        (
            with_message(json!({"role": "user", "content": [1]})),
            "messages[1].content[0]: found a number",
        ),
        (
            with_message(json!({"role": "user", "content": [{"type": "new"}]})),
            "messages[1].content[0].type: found \"new\", allowed is text,",
        ),
        (
            with_message(json!({"role": "user", "content": [{"type": "text", "text": {}}]})),
            "messages[1].content[0].text: found an object, allowed is a string",
        ),
        (
            call(json!(null)),
            "messages[1].tool_calls[0].function: missing",
        ),
        (
            call(json!({"arguments": "{}"})),
            "messages[1].tool_calls[0].function.name: missing",
        ),
        (
            call(json!({"name": "f", "arguments": 1})),
            "messages[1].tool_calls[0].function.arguments: found a number",
        ),
        (
            call(json!({"name": "f", "arguments": "{\"a\": 99999999999999999999}"})),
            "messages[1].tool_calls[0].function.arguments: found \"an integer beyond 64 bits\"",
        ),
        (
            json!({"messages": [], "tools": [{"type": "web"}]}),
            "tools[0].type: found \"web\", allowed is \"function\"",
        ),
        (
            json!({"messages": [], "tools": [{"function": {}}]}),
            "tools[0].function.name: found null, allowed is a string",
        ),
        (
            json!({"messages": [], "tools": [{"function": {"name": "f", "parameters": []}}]}),
            "tools[0].function.parameters: found an array",
        ),
        (
            json!({"messages": [], "documents": ["x"]}),
            "documents[0]: found a string, allowed is an object",
        ),
        (
            json!({"messages": [], "chat_template_kwargs": []}),
            "chat_template_kwargs: found an array, allowed is an object",
        ),
        (
            json!({"messages": [], "chat_template_kwargs": {"messages": []}}),
            "chat_template_kwargs.messages: the engine sets this itself",
        ),
        (
            json!({"messages": [], "continue_final_message": true}),
            "continue_final_message: true needs add_generation_prompt to be false",
        ),
        (
            json!({"messages": [], "reasoning_effort": "much"}),
            "reasoning_effort: found \"much\", allowed is none, minimal",
        ),
        (
            json!({"messages": [], "chat_template": "x"}),
            "chat_template: templates in requests are switched off",
        ),
    ] {
        let error = chat(&body).unwrap_err().to_string();
        assert!(error.starts_with(message), "{body}: {error}");
    }
}

#[test]
fn media_need_token_ids() {
    for part in [
        json!({"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}),
        json!({"image_url": "https://example.org/cat.png"}),
        json!({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
        json!({"type": "video_url", "video_url": {"url": "x"}}),
        json!({"type": "prompt_embeds", "data": ""}),
    ] {
        let error = chat(&with_message(
            json!({"role": "user", "content": [{"type": "text", "text": "see"}, part]}),
        ));
        let BodyError::MediaNeedsTokens { path, .. } = error.unwrap_err() else {
            panic!("{part}")
        };
        assert_eq!(path, "messages[1].content[1]");
    }
}

#[test]
fn hostile_bytes_are_refused() {
    let limits = RequestLimits::default();
    let deep = format!("{{\"messages\": {}", "[".repeat(1 << 20));
    for body in [
        b"".as_slice(),
        b"{",
        b"[]",
        b"\xff\xfe",
        br#"{"messages": [{"role": "user", "content": "\ud800"}]}"#,
        b"{\"messages\": [{\"role\": \"user\", \"content\": \"\xc3\x28\"}]}",
        br#"{"messages": [], "temperature": 1e999}"#,
        deep.as_bytes(),
    ] {
        let error = ChatRequest::parse(body, &limits).unwrap_err();
        assert!(
            matches!(error, BodyError::Json(_) | BodyError::WrongType { .. }),
            "{error:?}"
        );
    }
    let number =
        br#"{"messages": [], "chat_template_kwargs": {"n": 123456789012345678901234567890}}"#;
    let error = ChatRequest::parse(number, &limits).unwrap_err();
    assert_eq!(error, BodyError::Json(JsonError::Integer { at: 47 }));
}

#[test]
fn limits_hold() {
    let limits = RequestLimits {
        body_bytes: 512,
        messages: 2,
        items: 2,
        prompts: 2,
        token_ids: 3,
        template_bytes: 4,
    };
    let long = json!({"prompt": "x".repeat(600)}).to_string();
    assert!(matches!(
        CompletionRequest::parse(long.as_bytes(), &limits),
        Err(BodyError::TooLarge {
            bytes: 613,
            limit: 512
        })
    ));
    for (body, place) in [
        (json!({"prompt": ["a", "b", "c"]}), "prompt"),
        (json!({"prompt": [1, 2, 3, 4]}), "prompt"),
        (json!({"prompt": [[1, 2], [3, 4]]}), "prompt[1]"),
    ] {
        let error = CompletionRequest::parse(body.to_string().as_bytes(), &limits).unwrap_err();
        assert!(
            matches!(&error, BodyError::TooMany { path, .. } if path == place),
            "{error}"
        );
    }
    let message = json!({"role": "user", "content": ["a", "b", "c"]});
    for (body, place) in [
        (json!({"messages": [{}, {}, {}]}), "messages"),
        (json!({"messages": [message]}), "messages[0].content"),
        (json!({"messages": [], "tools": [{}, {}, {}]}), "tools"),
        (
            json!({"messages": [], "chat_template": "12345"}),
            "chat_template (in bytes)",
        ),
    ] {
        let error = ChatRequest::parse(body.to_string().as_bytes(), &limits).unwrap_err();
        assert!(
            matches!(&error, BodyError::TooMany { path, .. } if path == place),
            "{error}"
        );
    }
}

#[test]
fn truncation_is_read() {
    let options = |body: Value| chat(&body).unwrap().tokenize_options();
    assert_eq!(options(json!({"messages": []})).truncate, None);
    let to =
        options(json!({"messages": [], "truncate_prompt_tokens": 7, "truncation_side": "right"}));
    assert_eq!(
        (to.truncate, to.truncate_right),
        (Some(Truncate::To(7)), true)
    );
    let context = options(
        json!({"messages": [], "truncate_prompt_tokens": -1, "max_tokens": 3, "max_completion_tokens": 5}),
    );
    assert_eq!(
        context.truncate,
        Some(Truncate::ToContext { output_tokens: 5 })
    );
}

#[test]
fn no_error_shows_the_salt() {
    let body = json!({"messages": [], "cache_salt": "very-secret"});
    assert!(!format!("{:?}", chat(&body).unwrap()).contains("very-secret"));
    for body in [
        json!({"messages": 1, "cache_salt": "very-secret"}),
        json!({"messages": [], "cache_salt": ["very-secret"]}),
    ] {
        let error = chat(&body).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("very-secret"));
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 32, 4, |inner| {
        let keys = prop_oneof![
            Just("role"),
            Just("content"),
            Just("type"),
            Just("text"),
            Just("tool_calls"),
            Just("function"),
            Just("name"),
            Just("arguments"),
            Just("messages"),
            Just("prompt"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..4).prop_map(|fields| Value::Object(
                fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn no_value_in_any_place_panics(value in any_json()) {
        let fields = ["messages", "tools", "documents", "chat_template_kwargs", "prompt", "model", "cache_salt", "truncate_prompt_tokens", "reasoning_effort"];
        for field in fields {
            let mut body = json!({"messages": [{"role": "assistant", "content": "x"}], "prompt": "x"});
            body[field] = value.clone();
            let _ = chat(&body);
            let _ = completion(&body);
        }
        let _ = chat(&with_message(value.clone()));
        let _ = chat(&with_message(json!({"role": "assistant", "content": [&value], "tool_calls": [&value]})));
        let _ = chat(&with_message(json!({"role": "assistant", "tool_calls": [{"function": value}]})));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = ChatRequest::parse(&bytes, &RequestLimits::default());
        let _ = CompletionRequest::parse(&bytes, &RequestLimits::default());
    }
}
