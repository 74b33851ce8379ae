//! Clients that were not written here: Python's gRPC, curl.

use std::fs;

use serde_json::{Value, json};

use crate::running::{Engine, Running, python, recordings, text, wait_for};

const TAG: &str = "v0.32.0-sha256_cbor";
const MODEL: &str = "Qwen3-32B";

/// A standalone with one engine's recording, and the recording's last request.
fn fleet() -> (Running, Engine, Value) {
    let folder = recordings().join("model");
    let standalone = Running::start(&["--model", &format!("{MODEL}={}", folder.display())]);
    let engine = Engine::play(&standalone, TAG, "kv@10.9.8.7:8000@Qwen3-32B");
    wait_for("the whole recording", || {
        let (_, body) = standalone.curl("/v1/endpoints", None);
        let list: Value = serde_json::from_str(&body).expect("JSON");
        let next = list
            .pointer("/endpoints/0/next_sequence")
            .map(Value::to_string);
        (next?.trim_matches('"') == engine.published.to_string()).then_some(())
    });
    let requests = recordings().join(format!("traces/{TAG}.requests.jsonl"));
    let requests = fs::read_to_string(requests).expect("requests");
    let last = serde_json::from_str(requests.lines().last().expect("a line")).expect("JSON");
    (standalone, engine, last)
}

#[test]
fn python_grpc_uses_reflection_and_generated_stubs() {
    let (standalone, _engine, last) = fleet();
    let ids = tempfile::NamedTempFile::new().expect("a file");
    fs::write(ids.path(), last["prompt_token_ids"].to_string()).expect("ids");
    let prompt = last["prompt_tokens"].as_u64().expect("tokens");
    let output = python(
        "../../scorer/server/tests/peers/grpc_client.py",
        &[
            "--target",
            standalone.grpc.trim_start_matches("http://"),
            "--model",
            MODEL,
            "--tokens",
            ids.path().to_str().expect("UTF-8"),
            "--prompt",
            "Once upon a time",
            "--expect",
            &format!("10.9.8.7:8000={}", (prompt - 1) / 32 * 32),
        ],
    )
    .output()
    .expect("Python runs; ./test.sh installs it");
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[test]
fn curl_gets_scores_in_every_dialect() {
    let (standalone, _engine, last) = fleet();
    let ids = &last["prompt_token_ids"];
    let whole = last["prompt_tokens"].as_u64().expect("tokens") / 32 * 32;
    let ask = |path: &str, body: Value| {
        let (status, answer) = standalone.curl(path, Some(&body.to_string()));
        assert_eq!(status, 200, "{path}: {answer}");
        serde_json::from_str::<Value>(&answer).expect("JSON")
    };
    let dynamo = ask("/query", json!({ "model_name": MODEL, "token_ids": ids }));
    assert_eq!(dynamo["scores"]["10.9.8.7:8000"]["0"], whole, "{dynamo}");
    let mooncake = ask(
        "/query",
        json!({ "model": MODEL, "token_ids": ids, "block_size": 32 }),
    );
    assert_eq!(
        mooncake["default"]["10.9.8.7:8000"]["longest_matched"], whole,
        "{mooncake}"
    );
    let own = ask("/v1/score", json!({ "model": MODEL, "chat": last["body"] }));
    assert_eq!(own["endpoints"][0]["address"], "10.9.8.7:8000", "{own}");
}

#[test]
fn curl_gets_health_metrics_and_clear_errors() {
    let (standalone, _engine, _) = fleet();
    assert_eq!(standalone.curl("/healthz", None).0, 200);
    wait_for("readiness", || {
        (standalone.curl("/readyz", None).0 == 200).then_some(())
    });
    let (status, metrics) = standalone.curl("/metrics", None);
    assert_eq!(status, 200);
    for name in [
        "kvatlas_scorer_",
        "kvatlas_ingest_",
        "process_resident_memory_bytes",
    ] {
        assert!(metrics.contains(name), "no {name}");
    }
    let (status, said) = standalone.curl(
        "/query",
        Some("{\"model_name\":\"none\",\"token_ids\":[1]}"),
    );
    assert_eq!(status, 404, "{said}");
    let (status, said) = standalone.curl("/query", Some("{\"token_ids\":[1]}"));
    assert_eq!(status, 400, "{said}");
    let (status, said) = standalone.curl("/query", Some("{"));
    assert_eq!(status, 400, "{said}");
}
