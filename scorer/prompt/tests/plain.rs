//! What a prompt is compared by where nothing of its model is known.

use proptest::prelude::*;
use proto_model::{BlockKey, TextSpace};
use scorer_prompt::{BodyError, CompletionRequest, PlainPrompt, RequestLimits};
use serde_json::{Value, json};

fn chat(body: &Value) -> Result<PlainPrompt, BodyError> {
    PlainPrompt::of_chat(
        body.to_string().as_bytes(),
        &RequestLimits::default(),
        usize::MAX,
    )
}

fn bytes(body: &Value) -> Vec<u8> {
    chat(body).map_or_else(|error| panic!("{error}"), |plain| plain.bytes().to_vec())
}

fn messages(messages: &[Value]) -> Value {
    json!({"model": "m", "messages": messages})
}

#[test]
fn a_conversation_is_written_as_documented() {
    let body = json!({
        "model": "m", "cache_salt": "s",
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "content": [{"type": "text", "text": "a"}, "b"], "tool_call_id": "1"},
            {"role": "user", "name": "Ann", "content": [
                {"type": "image_url", "image_url": {"url": "http://x/y"}},
                {"type": "input_audio", "uuid": "u7", "input_audio": {"data": "AAAA"}},
                {"type": "new_thing", "x": 1},
            ]},
        ],
    });
    let plain = chat(&body).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(plain.model(), Some("m"));
    assert_eq!(plain.cache_salt().map(|salt| salt.expose()), Some("s"));
    let expected: [&[u8]; 5] = [
        b"{\"type\":\"function\",\"function\":{\"name\":\"f\"}}\xfd\xff",
        b"user\xfeHi\xff",
        b"assistant\xfe\xfac[{\"id\":\"1\"}]\xff",
        b"tool\xfea\xfdb\xfai1\xff",
        b"user\xfe\xfbimage_url\xfehttp://x/y\xfd\xfbinput_audio\xfeu7\xfd\xfbnew_thing\xfe{\"type\":\"new_thing\",\"x\":1}\xfanAnn\xff",
    ];
    assert_eq!(plain.bytes(), expected.concat());
}

#[test]
fn a_text_and_a_list_of_one_text_are_the_same() {
    let plain = messages(&[json!({"role": "user", "content": "Hi"})]);
    let parts = json!({"role": "user", "content": [{"type": "text", "text": "Hi"}]});
    assert_eq!(bytes(&plain), bytes(&messages(&[parts])));
}

#[test]
fn a_long_reference_weighs_no_more_than_a_name() {
    let picture = |seed: &str| {
        let url = format!("data:image/png;base64,{}{seed}", "A".repeat(1 << 20));
        let part = json!({"type": "image_url", "image_url": {"url": url}});
        bytes(&messages(&[json!({"role": "user", "content": [part]})]))
    };
    let (one, other) = (picture("a"), picture("b"));
    assert_eq!(one.len(), other.len());
    assert!(one.len() < 128, "{}", one.len());
    assert_ne!(one, other);
    assert_eq!(one, picture("a"));
}

#[test]
fn completions_are_their_prompt() {
    let of = |body: Value, max| {
        let request =
            CompletionRequest::parse(body.to_string().as_bytes(), &RequestLimits::default());
        let plain = PlainPrompt::of_completion(request.expect("valid"), max)?;
        Some((plain.bytes().to_vec(), plain.model().map(str::to_owned)))
    };
    let all = usize::MAX;
    let named = Some("m".to_owned());
    assert_eq!(
        of(json!({"model": "m", "prompt": "Hello"}), all),
        Some((b"Hello".to_vec(), named))
    );
    assert_eq!(
        of(json!({"prompt": [1, 258]}), all),
        Some((vec![1, 0, 0, 0, 2, 1, 0, 0], None))
    );
    assert_eq!(
        of(json!({"prompt": "Hello"}), 3),
        Some((b"Hel".to_vec(), None))
    );
    assert_eq!(of(json!({"prompt": ["a", "b"]}), all), None);
    let text = PlainPrompt::of_text("Hällo".to_owned(), 2);
    assert_eq!(text.bytes(), b"H\xc3", "cut between bytes, not characters");
}

#[test]
fn no_more_is_kept_than_asked() {
    let body = messages(&[json!({"role": "user", "content": "x".repeat(1000)})]);
    let bytes = body.to_string();
    let plain = PlainPrompt::of_chat(bytes.as_bytes(), &RequestLimits::default(), 64);
    assert_eq!(plain.map(|plain| plain.bytes().len()), Ok(64));
}

#[test]
fn hostile_bodies_are_refused_where_they_are_wrong() {
    let of = |body: &[u8]| {
        let limits = RequestLimits {
            body_bytes: 1 << 20,
            messages: 4,
            items: 4,
            ..RequestLimits::default()
        };
        let error = PlainPrompt::of_chat(body, &limits, usize::MAX).err();
        error.map_or_else(|| "accepted".to_owned(), |error| format!("{error}"))
    };
    let deep = format!("{{\"messages\":{}", "[".repeat(100_000));
    let many = |what: &str| [what; 5].join(",");
    for (body, refused) in [
        (b"".to_vec(), "not usable JSON"),
        (deep.into_bytes(), "not usable JSON"),
        (
            b"{\"messages\":[{\"role\":\"\xff\"}]}".to_vec(),
            "not usable JSON",
        ),
        (b"{\"messages\":[],\"x\":1e999}".to_vec(), "not usable JSON"),
        (
            b"{\"messages\":[],\"x\":99999999999999999999}".to_vec(),
            "not usable JSON",
        ),
        (vec![b' '; (1 << 20) + 1], "exceeds the limit"),
        (b"[]".to_vec(), "body: found an array"),
        (b"{}".to_vec(), "messages: missing"),
        (b"{\"messages\":7}".to_vec(), "messages: found a number"),
        (
            b"{\"messages\":[7]}".to_vec(),
            "messages[0]: found a number",
        ),
        (b"{\"messages\":[{}]}".to_vec(), "messages[0].role: missing"),
        (
            b"{\"messages\":[{\"role\":\"user\",\"content\":{}}]}".to_vec(),
            "messages[0].content: found an object",
        ),
        (
            format!("{{\"messages\":[{}]}}", many("{\"role\":\"a\"}")).into_bytes(),
            "messages: 5",
        ),
        (
            format!(
                "{{\"messages\":[{{\"role\":\"a\",\"content\":[{}]}}]}}",
                many("\"x\"")
            )
            .into_bytes(),
            "messages[0].content: 5",
        ),
        (
            b"{\"messages\":[],\"model\":7}".to_vec(),
            "model: found a number",
        ),
        (
            b"{\"messages\":[],\"cache_salt\":\"\"}".to_vec(),
            "cache_salt",
        ),
    ] {
        let said = of(&body);
        assert!(said.contains(refused), "{said} instead of {refused}");
    }
}

fn keys(text: &[u8]) -> Vec<BlockKey> {
    let space = TextSpace {
        model: "m",
        lora: None,
        salt: None,
        block_bytes: 16,
    };
    let mut keys = Vec::new();
    space.keys(text, usize::MAX, &mut keys);
    keys
}

fn content() -> impl Strategy<Value = Value> {
    let part = prop_oneof![
        ".{0,60}".prop_map(|text| json!({"type": "text", "text": text})),
        ".{0,20}".prop_map(|url| json!({"type": "image_url", "image_url": {"url": url}})),
        Just(json!({"type": "unheard_of"})),
        Just(json!(17)),
    ];
    prop_oneof![
        Just(Value::Null),
        ".{0,300}".prop_map(Value::from),
        prop::collection::vec(part, 0..4).prop_map(Value::from),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let role = prop_oneof![
        Just("system"),
        Just("user"),
        Just("assistant"),
        Just("tool")
    ];
    let call = prop::option::of(".{0,20}".prop_map(|text| json!([{"id": text}])));
    (role, content(), call).prop_map(
        |(role, content, calls)| json!({"role": role, "content": content, "tool_calls": calls}),
    )
}

proptest! {
    /// A turn's text begins with that of every turn before it, and so do its keys;
    /// conversations that differ in a message differ in text.
    #[test]
    fn earlier_turns_are_the_first_bytes_of_later_ones(
        turns in prop::collection::vec(message(), 2..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let earlier = 1 + cut.index(turns.len() - 1);
        let (before, after) = (bytes(&messages(&turns[..earlier])), bytes(&messages(&turns)));
        prop_assert!(after.starts_with(&before));
        prop_assert!(after.len() > before.len());
        prop_assert!(keys(&after).starts_with(&keys(&before)));
        let mut changed = turns;
        changed[earlier - 1]["content"] = json!("something else entirely, said by nobody");
        let other = bytes(&messages(&changed));
        prop_assert!(!other.starts_with(&before));
    }
}
