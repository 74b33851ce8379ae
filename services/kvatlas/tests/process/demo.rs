//! The README's first command: equal everywhere, and red where it must be.

use std::fs;

use crate::running::{recordings, run, text};

/// What ten recordings come to.
const VERDICT: &str =
    "791 predictions equal vLLM's own cached tokens, 0 differ, 35 cannot be compared";

#[test]
fn every_prediction_equals_vllm_by_content() {
    every_prediction_equals_vllm("content");
}

#[test]
fn every_prediction_equals_vllm_by_engine_hash() {
    every_prediction_equals_vllm("engine");
}

fn every_prediction_equals_vllm(profile: &str) {
    let folder = recordings();
    let folder = folder.to_str().expect("UTF-8");
    let output = run(&["demo", "--recordings", folder, "--profile", profile]);
    let printed = text(&output.stdout);
    assert!(
        output.status.success(),
        "{printed}\n{}",
        text(&output.stderr)
    );
    assert!(printed.contains(VERDICT), "{printed}");
}

/// A recording that claims another hit than the engine had.
#[test]
fn a_wrong_figure_is_found_and_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let traces = folder.path().join("traces");
    fs::create_dir(&traces).expect("a folder");
    let model = fs::canonicalize(recordings().join("model")).expect("the model");
    std::os::unix::fs::symlink(model, folder.path().join("model")).expect("a link");
    let tag = "v0.32.0-sha256_cbor-mm";
    for ending in ["meta.json", "events.jsonl"] {
        let name = format!("traces/{tag}.{ending}");
        fs::copy(recordings().join(&name), folder.path().join(&name)).expect("a copy");
    }
    let name = format!("traces/{tag}.requests.jsonl");
    let truth = fs::read_to_string(recordings().join(&name)).expect("requests");
    let lie = truth.replacen(
        "\"cached_tokens\": 32, \"prompt_tokens\"",
        "\"cached_tokens\": 64, \"prompt_tokens\"",
        1,
    );
    assert_ne!(truth, lie);
    fs::write(folder.path().join(&name), lie).expect("a file");
    let output = run(&[
        "demo",
        "--recordings",
        folder.path().to_str().expect("UTF-8"),
    ]);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{printed}");
    assert_eq!(printed.matches("DIFFERENT").count(), 1, "{printed}");
}
