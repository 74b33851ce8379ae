//! Bodies, answers, errors, metrics.

use hyper::StatusCode;
use serde_json::json;

use crate::client::{cached, chat, config, get, post, send, start, text};
use loadtest_engine_sim::EngineSim;
use loadtest_engine_sim::engine::Lora;

const LONG: &str = "hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi hi";

#[tokio::test]
async fn a_conversation_reuses_its_prompt_and_its_reply() {
    let engine = start().await;
    let at = engine.address();
    let (status, first) = post(at, "/v1/chat/completions", &chat(LONG, 40)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(cached(&first), 0);
    assert_eq!(first["choices"][0]["finish_reason"], "length");
    let said = first["choices"][0]["message"]["content"].as_str().unwrap();
    let mut next = chat(LONG, 8);
    next["messages"] = json!([
        {"role": "user", "content": [{"type": "text", "text": LONG}]},
        {"role": "assistant", "content": said},
        {"role": "user", "content": "go on"},
    ]);
    let (_, second) = post(at, "/v1/chat/completions", &next).await;
    // All but the last generated token are computed, and whole blocks of them kept.
    let usage = &first["usage"];
    let known = usage["total_tokens"].as_u64().unwrap() - 1;
    assert_eq!(cached(&second), known / 16 * 16);
    let truth = engine.truth("r-1");
    let seen: Vec<_> = truth.iter().map(|one| one.cached_tokens as u64).collect();
    assert_eq!(seen, [0, cached(&second)]);
    assert!(
        truth
            .iter()
            .all(|one| one.complete && one.engine == "engine-0")
    );
}

#[tokio::test]
async fn who_answered_is_in_header_and_body() {
    let engine = start().await;
    let body = chat("hi", 1).to_string();
    let response = send(engine.address(), "POST", "/v1/chat/completions", body).await;
    assert_eq!(response.headers()["x-engine"], "engine-0");
    assert!(
        text(response)
            .await
            .contains("\"system_fingerprint\":\"engine-0\"")
    );
}

#[tokio::test]
async fn token_ids_are_taken_as_they_are() {
    let engine = start().await;
    let ids: Vec<u32> = (0..64).collect();
    let body = json!({"model": "Qwen3-32B", "prompt": ids, "max_tokens": 1});
    let path = "/v1/completions";
    let (_, first) = post(engine.address(), path, &body).await;
    let (_, again) = post(engine.address(), path, &body).await;
    assert_eq!(first["usage"]["prompt_tokens"], 64);
    assert_eq!(first["choices"][0]["text"], again["choices"][0]["text"]);
    // The last token of a prompt is always computed, and so its block.
    assert_eq!((cached(&first), cached(&again)), (0, 48));
}

#[tokio::test]
async fn salts_and_adapters_keep_prompts_apart() {
    let lora = Lora {
        id: 1,
        name: "my-adapter".to_owned(),
        path: "/adapters/my-adapter".to_owned(),
    };
    let loras = vec![lora];
    let engine = EngineSim::start(loadtest_engine_sim::SimConfig { loras, ..config() }).await;
    let engine = engine.unwrap();
    let mut salted = chat(LONG, 1);
    salted["cache_salt"] = json!("a");
    let mut adapted = chat(LONG, 1);
    adapted["model"] = json!("my-adapter");
    let mut hits = Vec::new();
    for body in [
        chat(LONG, 1),
        salted.clone(),
        adapted.clone(),
        salted,
        adapted,
    ] {
        let (status, answer) = post(engine.address(), "/v1/chat/completions", &body).await;
        assert_eq!(status, StatusCode::OK);
        hits.push(cached(&answer) > 0);
    }
    assert_eq!(hits, [false, false, false, true, true]);
}

#[tokio::test]
async fn bad_requests_are_refused_as_vllm_does() {
    let engine = start().await;
    let at = engine.address();
    let path = "/v1/chat/completions";
    let long = json!({"model": "Qwen3-32B", "prompt": vec![1; 40_000]});
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        (path, "{".to_owned(), 400, "body: EOF"),
        (path, deep, 400, "body: "),
        (
            path,
            json!({"model": "Qwen3-32B"}).to_string(),
            400,
            "messages",
        ),
        (path, json!({"messages": []}).to_string(), 400, "model"),
        (path, chat("hi", 0).to_string(), 400, "max_tokens: "),
        (
            path,
            chat("hi", 1).to_string().replace("32B", "33B"),
            404,
            "does not exist",
        ),
        (
            "/v1/completions",
            long.to_string(),
            400,
            "maximum context length",
        ),
        (
            "/v1/completions",
            r#"{"model":"Qwen3-32B","prompt":[]}"#.to_owned(),
            400,
            "prompt: ",
        ),
    ];
    for (path, body, status, message) in cases {
        let response = send(at, "POST", path, body).await;
        assert_eq!(response.status().as_u16(), status, "{message}");
        let answer = text(response).await;
        assert!(answer.contains(message), "{message} in {answer}");
    }
}

#[tokio::test]
async fn bodies_beyond_the_limit_are_refused_and_long_ones_are_not() {
    let mut config = config();
    config.body_bytes = 4 << 20;
    let engine = EngineSim::start(config).await.unwrap();
    let mut body = chat("hi", 1);
    body["padding"] = json!("x".repeat(3 << 20));
    let path = "/v1/chat/completions";
    assert_eq!(post(engine.address(), path, &body).await.0, StatusCode::OK);
    body["padding"] = json!("x".repeat(5 << 20));
    let response = send(engine.address(), "POST", path, body.to_string()).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn metrics_have_vllms_names_and_the_requests_counts() {
    let engine = start().await;
    for _ in 0..2 {
        post(engine.address(), "/v1/chat/completions", &chat(LONG, 3)).await;
    }
    let page = get(engine.address(), "/metrics").await;
    let labels = "{engine=\"0\",model_name=\"Qwen3-32B\"}";
    for line in [
        format!("vllm:num_requests_running{labels} 0"),
        format!("vllm:num_requests_waiting{labels} 0"),
        format!("vllm:kv_cache_usage_perc{labels} 0"),
        format!("vllm:generation_tokens_total{labels} 6"),
        format!("vllm:time_to_first_token_seconds_count{labels} 2"),
    ] {
        assert!(page.contains(&line), "{line} in {page}");
    }
    let reason = "vllm:request_success_total{engine=\"0\",model_name=\"Qwen3-32B\",\
                  finished_reason=\"length\"} 2";
    assert!(page.contains(reason), "{page}");
    assert!(page.contains("block_size=\"16\""), "{page}");
    let hits = engine.stats().prefix_hits;
    assert!(hits > 0);
    assert!(page.contains(&format!("vllm:prefix_cache_hits_total{labels} {hits}")));
}

#[tokio::test]
async fn models_version_and_health_answer() {
    let engine = start().await;
    let at = engine.address();
    assert!(
        get(at, "/v1/models")
            .await
            .contains("\"max_model_len\":32768")
    );
    assert_eq!(get(at, "/version").await, r#"{"version":"0.10.1.1"}"#);
    assert_eq!(
        send(at, "GET", "/health", "").await.status(),
        StatusCode::OK
    );
    assert_eq!(
        send(at, "GET", "/nothing", "").await.status(),
        StatusCode::NOT_FOUND
    );
}
