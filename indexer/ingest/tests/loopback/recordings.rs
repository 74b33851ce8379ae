//! Recorded streams of real engines, through real sockets.

use std::path::PathBuf;

use indexer_ingest::ModelConfig;
use proto_model::Trust;
use proto_model::engine::{EngineVersion, HashAlgorithm, HashRules};
use serde_json::{Value, json};

use crate::engine::{Engine, Peers};
use crate::support::{Rig, bound, eventually};

fn traces() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../testdata/vllm/traces"
    ))
}

/// Plays a recording through a publisher, with these hash rules configured.
async fn play(tag: &str, rules: Option<HashRules>) -> (Rig, Engine) {
    let mut model = ModelConfig::new("m");
    model.hash = rules;
    let rig = Rig::start(indexer_ingest::IngestConfig {
        models: vec![model],
        ..bound()
    })
    .await;
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("recorded", 1);
    let open = json!({
        "op": "open", "name": engine.name, "topic": engine.topic(), "connect": rig.address(),
    });
    peers.call(&open).await;
    peers
        .call(&json!({ "op": "await_subscriber", "name": engine.name }))
        .await;
    let text = std::fs::read_to_string(traces().join(format!("{tag}.events.jsonl"))).expect(tag);
    for line in text.lines() {
        let message: Value = serde_json::from_str(line).expect("JSON");
        let payload = message["payload_b64"].as_str().expect("payload");
        let command = json!({ "op": "payload", "name": engine.name, "base64": payload });
        peers.call(&command).await;
        engine.published += 1;
    }
    rig.expect_cursor(&engine, Trust::Exact).await;
    (rig, engine)
}

fn rules(algorithm: HashAlgorithm, seed: &str, version: (u16, u16, u16)) -> Option<HashRules> {
    let version = EngineVersion::new(version.0, version.1, version.2);
    Some(HashRules::new(
        algorithm,
        Some(seed.to_owned()),
        Some(version),
    ))
}

fn checks(rig: &Rig, kind: &str) -> u64 {
    rig.metric(&format!(
        "kvatlas_ingest_hash_checks_total{{kind=\"{kind}\"}}"
    ))
}

#[tokio::test]
async fn recorded_hashes_match_their_settings() {
    for (tag, algorithm, version) in [
        ("v0.32.0-sha256_cbor", HashAlgorithm::Sha256Cbor, (0, 32, 0)),
        ("v0.32.0-xxhash_cbor", HashAlgorithm::XxhashCbor, (0, 32, 0)),
        ("v0.23.0-sha256_cbor", HashAlgorithm::Sha256Cbor, (0, 23, 0)),
        (
            "v0.10.1.1-sha256_cbor_64bit",
            HashAlgorithm::Sha256Cbor64,
            (0, 10, 1),
        ),
    ] {
        let (rig, _) = play(tag, rules(algorithm, "42", version)).await;
        assert!(
            checks(&rig, "match") > 50,
            "{tag}: {}",
            checks(&rig, "match")
        );
        assert_eq!(
            checks(&rig, "mismatch"),
            0,
            "{tag}: {:?}",
            rig.ingestor.findings().list()
        );
        assert_eq!(rig.ingestor.findings().list(), [], "{tag}");
    }
}

#[tokio::test]
async fn a_wrong_seed_is_said_aloud_with_the_right_one() {
    let wrong = rules(HashAlgorithm::Sha256Cbor, "7", (0, 32, 0));
    let (rig, engine) = play("v0.32.0-sha256_cbor", wrong).await;
    assert_eq!(checks(&rig, "match"), 0);
    let found = rig.ingestor.findings().list();
    let finding = found
        .iter()
        .find(|finding| finding.kind.as_str() == "hash_mismatch");
    let finding = finding.expect("a finding");
    assert!(finding.subject.contains(&engine.name));
    assert!(
        finding
            .advice
            .contains("sha256_cbor with PYTHONHASHSEED=42"),
        "{finding:?}"
    );
}

#[tokio::test]
async fn what_was_published_before_anyone_listened_is_replayed() {
    let mut peers = Peers::start().await;
    let mut engine = Engine::new("history", 1);
    let open = json!({
        "op": "open", "name": engine.name, "topic": engine.topic(), "bind": "tcp://127.0.0.1:*",
        "replay": "tcp://127.0.0.1:*", "form": "new",
    });
    let answer = peers.call(&open).await;
    for _ in 0..3000 {
        engine.store(&mut peers, true).await;
    }
    let address = answer["address"].as_str().expect("bound");
    let config = crate::support::connected(&engine, address, answer["replay"].as_str());
    let rig = Rig::start(config).await;
    rig.expect(&engine, Trust::Exact).await;
    let idle = || async {
        rig.ingestor
            .publishers()
            .await
            .iter()
            .all(|view| !view.replaying)
    };
    eventually(idle, || "the replay ends".to_owned()).await;
}
