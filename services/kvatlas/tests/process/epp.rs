//! The endpoint picker as users start it. What it says to gateways is tested where
//! the protocol is, and with a real Envoy.

use std::fs;

use serde_json::Value;

use crate::replicated::role::{Role, http, ready};
use crate::running::{kvatlas, parsed, run, text, wait_for};

const ENDPOINTS: &str = r#"
apiVersion: kvatlas/v1
kind: KVAtlasEndpoints
metadata: {name: qwen}
spec:
  poolRef: {name: qwen-inference-pool}
  endpoints: [{name: qwen-0, address: "10.0.0.1:8000"}, {name: qwen-1, address: "10.0.0.2:8000"}]
"#;

/// Free ports, in the flags of other pickers, and a quick end.
const FREE: [&str; 8] = [
    "--grpc-port",
    "0",
    "--grpc-health-port",
    "0",
    "--drain-timeout",
    "5s",
    "--set",
    "epp.serve.drain_delay=0s",
];

fn tracking() -> String {
    concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../testdata/manifests/tracking.yaml"
    )
    .to_owned()
}

fn value(metrics: &str, name: &str) -> Option<f64> {
    let line = metrics
        .lines()
        .find(|line| line.starts_with(&format!("{name} ")))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_picker_starts_with_the_flags_of_other_pickers_and_drains() {
    let own = [
        "epp",
        "--endpoint",
        "127.0.0.1:1=one",
        "--metrics-port",
        "0",
        "--secure-serving=false",
        "--health-checking",
        "--cert-path",
        "",
    ];
    let mut picker = Role::start(&[&own[..], &FREE].concat());
    assert!(picker.at("ext_proc").starts_with("127.0.0.1:"));
    let url = picker.at("http");
    ready(&url);
    let (status, metrics) = http("GET", &format!("{url}/metrics"));
    assert_eq!(status, 200);
    assert_eq!(value(&metrics, "kvatlas_epp_endpoints"), Some(1.0));
    assert_eq!(value(&metrics, "kvatlas_epp_scorers"), Some(0.0));
    assert!(metrics.contains("kvatlas_epp_decision_seconds_bucket{le=\"+Inf\"} 0"));
    assert_eq!(picker.terminate(), Some(0));
}

#[test]
fn manifests_are_followed_and_broken_ones_are_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::copy(tracking(), path("pool.yaml")).expect("copied");
    fs::write(path("endpoints.yaml"), ENDPOINTS).expect("written");
    let manifests = folder.path().to_str().expect("UTF-8");
    let own = ["epp", "--manifests", manifests, "--http", "127.0.0.1:0"];
    let picker = Role::start(&[&own[..], &FREE].concat());
    let metric = |name: &str| {
        value(
            &http("GET", &format!("{}/metrics", picker.at("http"))).1,
            name,
        )
    };
    assert_eq!(metric("kvatlas_epp_endpoints"), Some(2.0));
    let fewer = ENDPOINTS.replace(r#", {name: qwen-1, address: "10.0.0.2:8000"}"#, "");
    fs::write(path("endpoints.yaml"), fewer).expect("written");
    wait_for("the change", || {
        (metric("kvatlas_epp_endpoints") == Some(1.0)).then_some(())
    });
    fs::write(
        path("endpoints.yaml"),
        ENDPOINTS.replace("qwen-inference-pool", "other"),
    )
    .expect("written");
    wait_for("the mistake", || {
        (metric("kvatlas_epp_manifests_broken") == Some(1.0)).then_some(())
    });
    assert_eq!(metric("kvatlas_epp_endpoints"), Some(1.0));
    drop(picker);

    let output = run(&["epp", "--manifests", manifests]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("endpoints.yaml") && said.contains("other"),
        "{said}"
    );
}

#[test]
fn a_standalone_takes_manifests_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoints = folder.path().join("endpoints.yaml");
    fs::write(&endpoints, ENDPOINTS).expect("written");
    let pool = tracking();
    let own = [
        "standalone",
        "--manifests",
        &pool,
        "--manifests",
        endpoints.to_str().expect("UTF-8"),
        "--bind",
        "tcp://127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
    ];
    let free: Vec<_> = FREE
        .into_iter()
        .filter(|flag| !["--drain-timeout", "5s"].contains(flag))
        .collect();
    let mut standalone = Role::start(&[&own[..], &free].concat());
    ready(&standalone.at("http"));
    let (_, metrics) = http("GET", &format!("{}/metrics", standalone.at("http")));
    assert_eq!(value(&metrics, "kvatlas_epp_endpoints"), Some(2.0));
    assert_eq!(value(&metrics, "kvatlas_epp_scorers"), Some(1.0));
    // The policy's model is known before any engine has spoken, by both names.
    for model in ["Qwen3-32B", "Qwen/Qwen3-32B"] {
        let server = standalone.at("grpc");
        let asked = ["score", "--server", &server, "--json", "--model", model];
        let answer = parsed(&run(&[&asked[..], &["--tokens", "1,2,3"]].concat()));
        assert_eq!(answer["model"], Value::from("Qwen3-32B"), "{answer}");
    }
    assert_eq!(standalone.terminate(), Some(0));
}

#[test]
fn a_tokenizer_by_flag_keeps_the_policys_settings_and_contradictions_end_the_start() {
    let pool = tracking();
    let folder = tempfile::tempdir().expect("a folder");
    let endpoints = folder.path().join("endpoints.yaml");
    fs::write(&endpoints, ENDPOINTS).expect("written");
    let own = [
        "standalone",
        "--manifests",
        &pool,
        "--manifests",
        endpoints.to_str().expect("UTF-8"),
        "--bind",
        "tcp://127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--ext-proc",
        "127.0.0.1:0",
        "--health",
        "127.0.0.1:0",
    ];
    let model = format!("Qwen/Qwen3-32B={}", folder.path().display());
    let standalone = Role::start(&[&own[..], &["--model", &model]].concat());
    ready(&standalone.at("http"));
    // The policy's other name for it is known too.
    let server = standalone.at("grpc");
    let asked = [
        "score",
        "--server",
        &server,
        "--json",
        "--model",
        "Qwen3-32B",
    ];
    let answer = parsed(&run(&[&asked[..], &["--tokens", "1,2,3"]].concat()));
    assert_eq!(answer["model"], Value::from("Qwen/Qwen3-32B"), "{answer}");
    drop(standalone);

    let other = r#"models=[{name: "Qwen3-32B", block_size: 16}]"#;
    let output = run(&[&own[..], &["--set", other]].concat());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("block_size is 16") && said.contains("blockSize 64"),
        "{said}"
    );
}

#[test]
fn a_pool_without_endpoints_is_warned_of_whenever_it_turns_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let none = ENDPOINTS.replace(
        r#"[{name: qwen-0, address: "10.0.0.1:8000"}, {name: qwen-1, address: "10.0.0.2:8000"}]"#,
        "[]",
    );
    fs::copy(tracking(), path("pool.yaml")).expect("copied");
    fs::write(path("endpoints.yaml"), &none).expect("written");
    let manifests = folder.path().to_str().expect("UTF-8");
    let log = folder.path().join("log");
    let own = ["epp", "--manifests", manifests, "--http", "127.0.0.1:0"];
    let child = kvatlas(&[&own[..], &FREE].concat())
        .stderr(fs::File::create(&log).expect("a log"))
        .spawn()
        .expect("kvatlas starts");
    let _running = Killed(child);
    let warned = |times: usize| {
        wait_for("a warning that names the fix", || {
            let said = fs::read_to_string(&log).expect("a log");
            let lines = said.lines().filter(|line| {
                let warning = line.contains("WARN") && line.contains("has no ready endpoint");
                warning && line.contains("--endpoint") && line.contains("KVAtlasEndpoints")
            });
            (lines.count() == times).then_some(())
        });
    };
    warned(1);
    fs::write(path("endpoints.yaml"), ENDPOINTS).expect("written");
    wait_for("two endpoints", || {
        let said = fs::read_to_string(&log).expect("a log");
        said.contains("endpoints=2").then_some(())
    });
    fs::write(path("endpoints.yaml"), &none).expect("written");
    warned(2);
}

/// A process that ends with the test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn flags_that_mean_nothing_here_are_explained() {
    let output = run(&["epp", "--config-file=/etc/epp.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("--config-file is not supported") && said.contains("--config FILE"),
        "{said}"
    );
    let output = run(&["epp", "--no-such-flag"]);
    assert!(text(&output.stderr).contains("unexpected argument"));
}

#[test]
fn all_mistakes_of_a_picker_are_said_at_once() {
    let output = run(&[
        "epp",
        "--scorer",
        "nowhere",
        "--set",
        "epp.choices=0",
        "--set",
        "epp.policy.near_tie=2",
        "--set",
        "epp.serve.buffered_bytes=1KiB",
    ]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    for key in [
        "epp.manifests",
        "epp.scorers.0",
        "epp.choices",
        "epp.policy.near_tie",
        "epp.serve.buffered_bytes",
    ] {
        assert!(said.contains(key), "{key}: {said}");
    }
}

#[test]
fn a_named_pool_is_looked_for_in_kubernetes() {
    let output = kvatlas(&["epp", "--pool-name", "qwen"])
        .env("HOME", "/nonexistent")
        .env_remove("KUBECONFIG")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .output()
        .expect("kvatlas runs");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("epp.kubernetes"), "{said}");
}
