//! What is read of requests, and what is refused.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use router_discovery::{Criticality, ModelRule, PoolView, Strategy, TargetModel};
use router_ext_proc::{
    DeciderOptions, Headers, Mode, RefusedKind, SampledLoads, Subset, SubsetEntry,
};
use router_picker::Load;

use crate::pool::{Picker, chat, pool, post};

const A: &str = "10.0.0.1:8000";

fn by_load(addresses: &[&str]) -> Picker {
    Picker::new(pool(Strategy::LoadOnly, addresses), &[])
}

async fn refused(picker: &Picker, asked: router_ext_proc::Asked) -> (RefusedKind, String) {
    match picker.route(asked).await {
        Err(refused) => (refused.kind, refused.message),
        Ok(_) => panic!("routed"),
    }
}

#[tokio::test]
async fn hostile_bodies_are_refused_with_a_reason() {
    let picker = by_load(&[A]);
    let deep = format!(r#"{{"model":"m","a":{}"#, "[".repeat(100_000));
    let cases = [
        ("{", "JSON"),
        ("[]", "object"),
        (r#"{"messages":[]}"#, "model"),
        (r#"{"model":7}"#, "string"),
        (r#"{"model":"a","model":"b"}"#, "twice"),
        (r#"{"model":"m","n":1e999}"#, "number"),
        (deep.as_str(), "within each other"),
    ];
    for (body, part) in cases {
        let (kind, message) = refused(&picker, post("/v1/chat/completions", body)).await;
        assert_eq!(kind, RefusedKind::BadRequest);
        assert!(message.contains(part), "{message}");
    }
    let mut invalid = chat();
    invalid.body = Some(vec![b'{', 0xff, b'}'].into());
    assert_eq!(refused(&picker, invalid).await.0, RefusedKind::BadRequest);
}

#[tokio::test]
async fn what_is_not_read_goes_by_load() {
    let picker = by_load(&[A]);
    let mut empty = chat();
    empty.body = Some(Default::default());
    let mut get = post("/v1/models", "");
    get.body = None;
    let mut compressed = post("/v1/chat/completions", "\u{1}not JSON");
    compressed.headers = Headers::new([("Content-Encoding".to_owned(), b"gzip".to_vec())]);
    let unknown = post("/v2/anything", "not JSON");
    for asked in [empty, get, compressed, unknown] {
        assert_eq!(picker.first(asked).await, A);
    }
    assert_eq!(picker.decider.stats().modes[Mode::Load as usize].get(), 4);
}

#[tokio::test]
async fn nobody_ready_and_nobody_allowed_are_told_apart() {
    let (kind, message) = refused(&by_load(&[]), chat()).await;
    assert_eq!(kind, RefusedKind::NoEndpoint);
    assert!(message.contains("ready"), "{message}");
    let mut elsewhere = chat();
    elsewhere.subset = Subset::Only(vec![SubsetEntry {
        ip: "10.9.9.9".parse().unwrap(),
        port: None,
    }]);
    let (kind, message) = refused(&by_load(&[A]), elsewhere).await;
    assert_eq!(kind, RefusedKind::NoEndpoint);
    assert!(message.contains("subset"), "{message}");
}

fn with_model(criticality: Criticality, target: &str) -> PoolView {
    let targets = vec![TargetModel {
        name: target.to_owned(),
        weight: 1,
    }];
    let rule = ModelRule {
        criticality,
        targets,
    };
    PoolView {
        models: [("m".to_owned(), rule)].into(),
        ..pool(Strategy::LoadOnly, &[A])
    }
}

#[tokio::test]
async fn a_model_is_rewritten_in_place() {
    let picker = Picker::new(with_model(Criticality::Critical, "m-v2"), &[]);
    let asked = post("/v1/embeddings", r#"{ "input": "é", "model" : "m"}"#);
    let routed = picker.route(asked).await.ok().unwrap();
    let body = routed.body.unwrap();
    assert_eq!(&body[..], r#"{ "input": "é", "model" : "m-v2"}"#.as_bytes());
    let same = Picker::new(with_model(Criticality::Critical, "m"), &[]);
    assert!(same.route(chat()).await.ok().unwrap().body.is_none());
}

fn gzip(mut asked: router_ext_proc::Asked) -> router_ext_proc::Asked {
    let values = ["identity", "identity, gzip"];
    let headers = values.map(|value| ("content-encoding".to_owned(), value.as_bytes().to_vec()));
    asked.headers = Headers::new(headers);
    asked
}

#[tokio::test]
async fn no_header_and_no_spelling_is_a_way_past_an_inference_model() {
    for view in [
        with_model(Criticality::Standard, "m-v2"),
        with_model(Criticality::Sheddable, "m"),
    ] {
        let picker = Picker::new(view, &[]);
        let (kind, message) = refused(&picker, gzip(chat())).await;
        assert_eq!(kind, RefusedKind::BadRequest);
        assert!(message.contains("send it uncompressed"), "{message}");
    }
    let picker = Picker::new(with_model(Criticality::Standard, "m-v2"), &[]);
    for path in [
        "/v1/chat/%63ompletions",
        "/v1/chat/completions//",
        "//v1//chat/completions",
    ] {
        let routed = picker.route(post(path, r#"{"model":"m"}"#)).await.ok();
        let body = routed.unwrap().body.expect("rewritten");
        assert_eq!(&body[..], br#"{"model":"m-v2"}"#, "{path}");
    }
}

#[tokio::test]
async fn where_no_model_matters_a_plain_body_is_read_whatever_its_header_says() {
    let view = with_model(Criticality::Standard, "m");
    let mut asked = gzip(chat());
    let rewrite = ("x-gateway-model-name-rewrite".to_owned(), b"z".to_vec());
    let encoding = ("content-encoding".to_owned(), b"gzip".to_vec());
    asked.headers = Headers::new([encoding, rewrite]);
    let no_models = by_load(&[A]).route(asked).await.ok().unwrap();
    assert!(no_models.body.is_some(), "it was read");
    assert_eq!(Picker::new(view, &[]).first(gzip(chat())).await, A);
}

struct Full;

impl SampledLoads for Full {
    fn sampled(&self, _: &SocketAddr) -> Option<(Load, Instant)> {
        let load = Load {
            waiting: 50,
            running: 256,
            kv_usage: 1.0,
        };
        Some((load, Instant::now()))
    }
}

#[tokio::test]
async fn only_sheddable_requests_are_shed_when_all_are_saturated() {
    for (criticality, shed) in [
        (Criticality::Sheddable, true),
        (Criticality::Standard, false),
        (Criticality::Critical, false),
    ] {
        let view = with_model(criticality, "m");
        let picker = Picker::with(view, &[], DeciderOptions::default(), Arc::new(Full));
        match picker.route(chat()).await {
            Ok(_) => assert!(!shed, "{criticality:?}"),
            Err(refused) => {
                assert!(shed && refused.kind == RefusedKind::Saturated);
                assert!(refused.retry_after.is_some());
            }
        }
    }
}

#[tokio::test]
async fn requests_that_are_not_over_make_the_others_go_elsewhere() {
    let addresses = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"];
    let picker = by_load(&addresses);
    let mut open = Vec::new();
    for _ in 0..addresses.len() {
        open.push(picker.route(chat()).await.ok().unwrap());
    }
    let used: BTreeSet<_> = open.iter().map(|routed| routed.endpoints[0]).collect();
    assert_eq!(used.len(), addresses.len());
}
