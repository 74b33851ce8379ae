//! What is remembered of conversations changes no token id: the recorded ones', and
//! made-up ones' that grow, change and share.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use scorer_prompt::{
    ChatRequest, CompletionRequest, Model, ModelOptions, RequestLimits, TokenCache, TokenReuse,
    TokenizeOptions,
};
use serde_json::{Value, json};

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vllm");
const TEMPLATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/templates");

const DEFAULT_SYSTEM: &str = "{%- if messages[0].role != 'system' %}<|im_start|>system\nYou are helpful.<|im_end|>\n{% endif %}{%- for message in messages %}{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}";

fn model(cache: Option<&Arc<TokenCache>>, template: Option<String>) -> Model {
    let options = ModelOptions {
        token_cache: cache.cloned(),
        chat_template: template,
        ..ModelOptions::default()
    };
    Model::from_directory("m", &Path::new(RECORDINGS).join("model"), options).unwrap()
}

fn chat(model: &Model, body: &Value) -> Vec<u32> {
    let body = body.to_string();
    let request = ChatRequest::parse(body.as_bytes(), &RequestLimits::default()).unwrap();
    model.chat(request).unwrap().token_ids
}

fn complete(model: &Model, body: &Value) -> Vec<u32> {
    let body = body.to_string();
    let request = CompletionRequest::parse(body.as_bytes(), &RequestLimits::default()).unwrap();
    model.completion(request).unwrap().remove(0).token_ids
}

const PLAIN: TokenizeOptions = TokenizeOptions {
    add_special_tokens: false,
    truncate: None,
    truncate_right: false,
};

/// Every recorded prompt: whether it is a chat, its body, the engine's token ids.
fn recorded() -> Vec<(bool, Value, Vec<u32>)> {
    let mut prompts = Vec::new();
    for entry in fs::read_dir(Path::new(RECORDINGS).join("traces")).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_string_lossy().ends_with(".requests.jsonl") {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let is_chat = match record["kind"].as_str().unwrap() {
                "/v1/chat/completions" => true,
                "/v1/completions" => false,
                _ => continue,
            };
            let ids = |field: &str| serde_json::from_value(record[field].clone()).ok();
            let ids = ids("prompt_token_ids").or_else(|| ids("tokenize_ids"));
            prompts.push((is_chat, record["body"].clone(), ids.unwrap()));
        }
    }
    prompts
}

#[test]
fn recorded_prompts_have_the_engines_ids_in_any_order_and_however_little_is_remembered() {
    let mut prompts = recorded();
    assert_eq!(prompts.len(), 819);
    let caches = [16 << 10, 64 << 20].map(|bytes| Arc::new(TokenCache::new(bytes)));
    for cache in &caches {
        let model = model(Some(cache), None);
        assert_eq!(model.token_reuse(), TokenReuse::Words);
        for round in 0..2_usize {
            // Another order each round.
            prompts.sort_by_key(|(_, body, ids)| {
                (body.to_string().len() * 31 + ids.len() * 17) * (round + 7) % 1_009
            });
            for (is_chat, body, expected) in &prompts {
                let ids = if *is_chat {
                    chat(&model, body)
                } else {
                    complete(&model, body)
                };
                assert_eq!(&ids, expected, "round {round}: {body}");
            }
        }
        let stats = cache.stats();
        assert!(stats.hits > 1_000, "{stats:?}");
        assert!(stats.bytes <= stats.capacity_bytes, "{stats:?}");
        assert_eq!(stats.bypassed, 0, "{stats:?}");
    }
    assert!(caches[0].stats().evictions > 0);
    assert_eq!(caches[1].stats().evictions, 0);
}

#[test]
fn a_second_turn_is_tokenised_from_where_it_differs() {
    let cache = Arc::new(TokenCache::new(64 << 20));
    let model = model(Some(&cache), None);
    let word = |n| format!("word {n} that was seen before, ");
    let long: String = (0..700).map(word).collect();
    let more: String = (700..1_400).map(word).collect();
    for (first, second) in [
        (format!("{long} end"), format!("{long} other end")),
        (long.clone(), format!("{long}{more}")),
    ] {
        complete(&model, &json!({"prompt": first}));
        let before = cache.stats();
        let ids = complete(&model, &json!({"prompt": &second}));
        let after = cache.stats();
        assert_eq!(ids, model.tokenize_in_full(&second, PLAIN).unwrap());
        assert!(after.hits - before.hits >= 30, "{before:?} {after:?}");
        assert!(after.misses - before.misses <= 50, "{before:?} {after:?}");
    }
    let before = cache.stats();
    complete(&model, &json!({"prompt": &long, "cache_salt": "salt"}));
    assert_eq!(cache.stats().hits, before.hits, "found under another salt");
}

#[test]
fn truncation_and_special_tokens_are_those_of_the_whole() {
    let cache = Arc::new(TokenCache::new(1 << 20));
    let (cached, plain) = (model(Some(&cache), None), model(None, None));
    assert_eq!(
        plain.token_reuse(),
        TokenReuse::Nothing {
            because: "no cache is given"
        }
    );
    let prompt = "one two three<|im_end|> four five. ".repeat(40);
    for limit in [0, 1, 5, 300, 100_000] {
        for side in ["left", "right"] {
            for special in [true, false] {
                let body = json!({
                    "prompt": prompt, "truncate_prompt_tokens": limit, "truncation_side": side,
                    "add_special_tokens": special,
                });
                let parsed = |body: &Value| {
                    let body = body.to_string();
                    CompletionRequest::parse(body.as_bytes(), &RequestLimits::default())
                };
                if parsed(&body).is_err() {
                    assert_eq!(limit, 0);
                    continue;
                }
                assert_eq!(complete(&cached, &body), complete(&plain, &body), "{body}");
            }
        }
    }
}

#[test]
fn huge_and_tiny_pieces_are_bounded_in_memory() {
    let cache = Arc::new(TokenCache::new(2 << 20));
    let model = model(Some(&cache), None);
    let texts = [
        // One piece that is too large to keep, one that is not, many that are equal,
        // many segments that are equal, many that are not.
        "x".repeat(1 << 20),
        " ".repeat(200 << 10),
        "a ".repeat(100_000),
        "<|im_end|>\n".repeat(1_000_000),
        (0..40_000).map(|n| format!("<|im_start|>{n}")).collect(),
    ];
    for text in &texts {
        let ids = model.tokenize(text, PLAIN, None).unwrap();
        // Longer texts take the library minutes in a debug build.
        let short = text.len() < 1 << 20;
        assert!(!short || ids == model.tokenize_in_full(text, PLAIN).unwrap());
        assert!(!ids.is_empty());
        let stats = cache.stats();
        assert!(stats.bytes <= 2 << 20, "{stats:?}");
    }
}

#[test]
fn threads_that_share_little_memory_get_the_same_ids() {
    let cache = Arc::new(TokenCache::new(40_000));
    let cached = model(Some(&cache), None);
    let bodies: Vec<Value> = (0..24)
        .map(|n| {
            let said = |m: usize| format!("Message {m} of {}: {}", n % 5, "words and words, ".repeat(m * 9));
            let messages: Vec<_> = (0..n)
                .map(|m| json!({"role": if m % 2 == 0 { "user" } else { "assistant" }, "content": said(m)}))
                .collect();
            json!({"messages": messages})
        })
        .collect();
    let plain = model(None, None);
    let expected: Vec<_> = bodies.iter().map(|body| chat(&plain, body)).collect();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (cached, bodies, expected, cache) = (&cached, &bodies, &expected, &cache);
            scope.spawn(move || {
                for round in 0..4 {
                    for n in 0..bodies.len() {
                        let at = (n * 7 + thread * 5 + round) % bodies.len();
                        assert_eq!(chat(cached, &bodies[at]), expected[at]);
                        assert!(cache.stats().bytes <= 40_000);
                    }
                }
            });
        }
    });
    let stats = cache.stats();
    assert!(stats.hits > 0 && stats.evictions > 0, "{stats:?}");
}

/// What a user or an engine may have said.
fn said() -> impl Strategy<Value = String> {
    let fragment = select(vec![
        "a word ",
        "two\n",
        "\r\n",
        " ",
        "   ",
        "中文。",
        "，",
        "e\u{301}",
        "\u{301}",
        "か\u{3099}",
        "👩\u{200d}👩\u{200d}👧",
        "<|im_end|>",
        "<|im_start|>",
        "<|im_",
        "end|>",
        "it's ",
        "'LL ",
        "слово",
        " и ",
        "12 345",
        "...\n\n",
        "\t",
        "\u{a0}",
        "한국어 ",
        "</s>",
        "[INST]",
    ]);
    let fragments = proptest::collection::vec(fragment, 0..12);
    let long = (fragments, 1..40_usize).prop_map(|(all, times)| all.concat().repeat(times));
    prop_oneof![3 => long, 1 => "\\PC{0,40}"]
}

fn conversation() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(said(), 1..6)
}

#[derive(Debug, Clone)]
enum Edit {
    Say(String),
    Continue(Index, String),
    Cut(Index, Index),
    Replace(Index, String),
    Forget(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => said().prop_map(Edit::Say),
        2 => (any::<Index>(), said()).prop_map(|(at, text)| Edit::Continue(at, text)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(at, end)| Edit::Cut(at, end)),
        1 => (any::<Index>(), said()).prop_map(|(at, text)| Edit::Replace(at, text)),
        1 => any::<Index>().prop_map(Edit::Forget),
    ]
}

fn apply(said: &mut Vec<String>, edit: Edit) {
    if let Edit::Say(text) = edit {
        return said.push(text);
    }
    if said.is_empty() {
        return;
    }
    match edit {
        Edit::Say(_) => {}
        Edit::Continue(at, text) => {
            let at = at.index(said.len());
            said[at].push_str(&text);
        }
        Edit::Cut(at, end) => {
            let at = at.index(said.len());
            let chars = said[at].chars().count();
            said[at] = said[at].chars().take(end.index(chars + 1)).collect();
        }
        Edit::Replace(at, text) => {
            let at = at.index(said.len());
            said[at] = text;
        }
        Edit::Forget(at) => {
            said.remove(at.index(said.len()));
        }
    }
}

fn body(said: &[String], with_system: bool, with_tools: bool) -> Value {
    let roles = ["user", "assistant"].into_iter().cycle();
    let system = with_system.then(|| json!({"role": "system", "content": "Be brief."}));
    let messages = said.iter().zip(roles);
    let messages = messages.map(|(text, role)| json!({"role": role, "content": text}));
    let messages: Vec<_> = system.into_iter().chain(messages).collect();
    let mut body = json!({"messages": messages});
    if with_tools {
        body["tools"] = json!([{"type": "function", "function": {
            "name": "find", "description": "Finds <|im_end|> things.",
            "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
        }}]);
    }
    body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn conversations_have_the_ids_of_prompts_never_seen(
        first in conversation(),
        edits in proptest::collection::vec(edit(), 1..8),
        with_system in any::<bool>(),
        with_tools in any::<bool>(),
        small in any::<bool>(),
    ) {
        let cache = Arc::new(TokenCache::new(if small { 12_000 } else { 8 << 20 }));
        let golden = |name: &str| fs::read_to_string(Path::new(TEMPLATES).join(name)).unwrap();
        let templates = [None, Some(DEFAULT_SYSTEM.to_owned()), Some(golden("tools.jinja"))];
        // One cache for all, as in a process.
        let models = templates.map(|template| model(Some(&cache), template));
        let mut said = first;
        let mut edits = edits.into_iter();
        loop {
            let body = body(&said, with_system, with_tools);
            for model in &models {
                let bytes = body.to_string();
                let parse = || ChatRequest::parse(bytes.as_bytes(), &RequestLimits::default());
                // Templates may refuse who speaks in which order.
                let Ok(text) = model.render(parse().unwrap()) else {
                    continue;
                };
                let expected = model.tokenize_in_full(&text, PLAIN).unwrap();
                prop_assert_eq!(chat(model, &body), expected.clone());
                prop_assert_eq!(chat(model, &body), expected);
            }
            let stats = cache.stats();
            prop_assert!(stats.bytes <= stats.capacity_bytes);
            match edits.next() {
                Some(edit) => apply(&mut said, edit),
                None => break,
            }
        }
        prop_assert!(cache.stats().hits > 0);
    }
}
