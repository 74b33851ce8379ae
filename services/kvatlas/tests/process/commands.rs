//! The operator's commands against a running standalone.

use std::fs;

use serde_json::{Value, json};

use crate::engine_double::EngineDouble;
use crate::running::{Engine, Running, parsed, recordings, run, settled, text, wait_for};

const TAG: &str = "v0.32.0-sha256_cbor";
const MODEL: &str = "Qwen3-32B";
const TOPIC: &str = "kv@10.1.2.3:8000@Qwen3-32B";

#[test]
fn endpoints_and_score_show_what_a_libzmq_engine_published() {
    let folder = recordings().join("model");
    let source = format!("{MODEL}={}", folder.display());
    let standalone = Running::start(&["--model", &source]);
    let engine = Engine::play(&standalone, TAG, TOPIC);
    let endpoint = settled(&standalone, &engine);
    assert_eq!(endpoint["address"], "10.1.2.3:8000");
    assert_eq!(endpoint["trust"], "exact");
    assert_eq!(endpoint["model"], MODEL);
    assert_eq!(endpoint["spaces"][0]["block_size"], 32);

    // The recording's last chat is still cached at its end.
    let requests = recordings().join(format!("traces/{TAG}.requests.jsonl"));
    let requests = fs::read_to_string(requests).expect("requests");
    let last: Value = serde_json::from_str(requests.lines().last().expect("a line")).expect("JSON");
    let body = tempfile::NamedTempFile::new().expect("a file");
    fs::write(body.path(), last["body"].to_string()).expect("a body");
    let ids: Vec<String> = last["prompt_token_ids"]
        .as_array()
        .expect("ids")
        .iter()
        .map(ToString::to_string)
        .collect();
    let ids = ids.join(",");
    let body = body.path().to_str().expect("UTF-8");
    for input in [["--chat", body], ["--tokens", &ids]] {
        let asked = [
            &[
                "score",
                "--server",
                &standalone.grpc,
                "--json",
                "--model",
                MODEL,
            ][..],
            &input,
        ]
        .concat();
        let answer = parsed(&run(&asked));
        let prompt = answer["prompt_tokens"].as_u64().expect("tokens");
        assert_eq!(prompt, last["prompt_tokens"].as_u64().expect("tokens"));
        // All whole blocks but none with the last token.
        assert_eq!(
            answer["endpoints"][0]["reusable_tokens"],
            (prompt - 1) / 32 * 32
        );
        assert_eq!(answer["endpoints"][0]["address"], "10.1.2.3:8000");
    }
    assert_eq!(standalone.terminate(), Some(0));
}

#[test]
fn an_adapter_is_learned_from_events() {
    let standalone = Running::start(&[]);
    let engine = Engine::play(&standalone, TAG, TOPIC);
    settled(&standalone, &engine);
    let asked = [
        "score",
        "--server",
        &standalone.grpc,
        "--json",
        "--model",
        "my-adapter",
    ];
    let answer = parsed(&run(&[&asked[..], &["--tokens", "1,2,3"]].concat()));
    assert_eq!(answer["model"], MODEL);
}

#[test]
fn doctor_says_what_is_wrong_and_how_to_mend_it() {
    let standalone = Running::start(&["--set", "models=[{name: Qwen3-32B, block_size: 16}]"]);
    let doctor = [
        "doctor",
        "--server",
        &standalone.grpc,
        "--http",
        &standalone.http,
        "--json",
    ];
    let nobody = run(&doctor);
    assert_eq!(nobody.status.code(), Some(1));
    assert_eq!(parsed(&nobody)[0]["subject"], "endpoints");

    let engine = Engine::play(&standalone, TAG, TOPIC);
    settled(&standalone, &engine);
    let found = run(&doctor);
    let printed = text(&found.stdout);
    assert_eq!(found.status.code(), Some(1), "{printed}");
    // Wrong block size, no tokenizer.
    assert!(printed.contains("block_size"), "{printed}");
    assert!(printed.contains("no tokenizer"), "{printed}");
}

/// An engine whose template and tokenizer are ours, and one whose are not.
#[test]
fn doctor_compares_tokens_with_a_running_engine() {
    let folder = recordings().join("model");
    let standalone = Running::start(&["--model", &format!("{MODEL}={}", folder.display())]);
    let _engine = Engine::play(&standalone, TAG, TOPIC);
    let ours = |body: &Value| {
        let input = if body.get("prompt").is_some() {
            "completion"
        } else {
            "chat"
        };
        let asked = json!({ "model": MODEL, input: body, "include_token_ids": true });
        let (status, answer) = standalone.curl("/v1/score", Some(&asked.to_string()));
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str::<Value>(&answer).expect("JSON")["token_ids"].clone()
    };
    let examine = |url: &str| {
        let args = [
            "doctor",
            "--server",
            &standalone.grpc,
            "--http",
            &standalone.http,
            "--json",
        ];
        text(&run(&[&args[..], &["--engine", url, "--model", MODEL]].concat()).stdout)
    };
    std::thread::scope(|scope| {
        let same = EngineDouble::start(scope, 3, |body| json!({ "tokens": ours(body) }));
        let said = examine(&same);
        assert!(!said.contains("the engine's"), "{said}");
        let other = EngineDouble::start(scope, 3, |_| json!({ "tokens": [1, 2, 3] }));
        let said = examine(&other);
        assert_eq!(said.matches("the engine's 3 tokens").count(), 3, "{said}");
    });
}

#[test]
fn an_endpoint_that_is_gone_is_forgotten_when_told_or_in_time() {
    let standalone = Running::start(&["--set", "ingest.forget_after=1s"]);
    let endpoints = || parsed(&run(&["endpoints", "--server", &standalone.grpc, "--json"]));
    let gone = || {
        wait_for("an empty list", || {
            (endpoints().as_array()?.is_empty()).then_some(())
        });
    };
    let engine = Engine::play(&standalone, TAG, TOPIC);
    settled(&standalone, &engine);
    let forgotten = run(&[
        "forget",
        "default/10.1.2.3:8000",
        "--http",
        &standalone.http,
    ]);
    assert!(forgotten.status.success(), "{}", text(&forgotten.stderr));
    gone();
    drop(engine);

    let engine = Engine::play(&standalone, TAG, "kv@10.1.2.4:8000@Qwen3-32B");
    settled(&standalone, &engine);
    // Its connection goes, and after a while so does what it held.
    drop(engine);
    gone();
}

#[test]
fn doctor_says_that_nothing_answers() {
    let output = run(&["doctor", "--server", "http://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("--server"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_index_survives_a_restart_on_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("UTF-8");
    let standalone = Running::start(&["--data", data]);
    let engine = Engine::play(&standalone, TAG, TOPIC);
    let before = settled(&standalone, &engine);
    drop(engine);
    // Killed, not asked.
    drop(standalone);
    let standalone = Running::start(&["--data", data]);
    let after = wait_for("the stored index", || {
        parsed(&run(&["endpoints", "--server", &standalone.grpc, "--json"]))
            .get(0)
            .cloned()
    });
    for field in ["address", "next_sequence", "blocks", "incarnation", "trust"] {
        assert_eq!(before[field], after[field], "{field}");
    }
}

#[test]
fn every_mistake_of_a_configuration_is_reported_at_once() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let yaml =
        "scorer:\n  in_flite: 3\n  grpc: nowhere\nmodels:\n  - name: m\n    profile: engine\n";
    fs::write(file.path(), yaml).expect("a file");
    let output = run(&[
        "config",
        "check",
        "--config",
        file.path().to_str().expect("UTF-8"),
    ]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for mistake in [
        "scorer.in_flite",
        "scorer.grpc",
        "models.0.engine",
        "line 2",
    ] {
        assert!(said.contains(mistake), "no {mistake} in {said}");
    }
}

#[test]
fn a_printed_configuration_is_read_back() {
    let printed = run(&["config", "print", "--set", "cluster=eu-west-1"]);
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), &printed.stdout).expect("a file");
    let again = run(&[
        "config",
        "print",
        "--config",
        file.path().to_str().expect("UTF-8"),
    ]);
    assert_eq!(text(&printed.stdout), text(&again.stdout));
    assert!(text(&again.stdout).contains("cluster: eu-west-1"));
}
