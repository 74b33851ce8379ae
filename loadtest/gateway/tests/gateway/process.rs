//! The picker as a process: health, certificates, deadlines, its end.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use http_body_util::BodyExt;
use loadtest_gateway::{Answer, Client, Index, IndexSetup, LIMIT, Mode, Pool, eventually, post};
use serde_json::json;

use crate::bench::{Bench, CHAT, HOST, addresses, chat, echoes, marked, programs, with_header};

const READINESS: [&str; 4] = [
    "",
    "readiness",
    "inference-extension",
    "envoy.service.ext_proc.v3.ExternalProcessor",
];

#[tokio::test]
async fn health_is_answered_by_the_names_that_gateways_ask_for() {
    let bench = Bench::start(Pool::OriginalDst).await;
    let picker = &bench.gateway.picker;
    for name in READINESS.into_iter().chain(["liveness"]) {
        let health = picker.health(name).await.unwrap();
        assert_eq!(health, "SERVING", "{name}");
    }
    let health = picker.health("another").await.unwrap();
    assert_eq!(health, "NotFound");
}

/// A certificate for 127.0.0.1 and its key, as `tls.crt` and `tls.key`.
fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=picker", "-addext"])
        .args(["subjectAltName=IP:127.0.0.1", "-keyout"])
        .arg(folder.join("tls.key"))
        .arg("-out")
        .arg(folder.join("tls.crt"))
        .output()
        .expect("openssl runs");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
}

/// Envoy trusts this certificate only; the test before it trusts any.
#[tokio::test]
async fn the_picker_shows_the_certificate_that_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let bench = Bench::with(Pool::OriginalDst, 1, |setup| {
        setup.certificates = Some(folder.path().to_owned());
    });
    let bench = bench.await;
    let answer = bench.ask(chat("certificate")).await;
    bench.assert_served(&answer, "certificate");
}

#[tokio::test]
async fn a_picker_that_is_told_to_end_lets_streams_finish_first() {
    let mut bench = Bench::with(Pool::OriginalDst, 1, |_| {}).await;
    let body = json!({"model": "m", "stream": true, "messages": []});
    let request = marked(post(HOST, CHAT, &body), "drain");
    let request = with_header(request, "x-echo", "sse=2");
    let mut client = Client::connect(bench.gateway.envoy.inference())
        .await
        .unwrap();
    let mut response = client.send(request).await.unwrap();
    let engine = &bench.engines[0];
    engine.allow("drain", 1);
    let first = response.frame().await.unwrap().unwrap();
    assert!(first.is_data());

    let picker = &mut bench.gateway.picker;
    picker.process().signal("TERM").await.unwrap();
    let turned_away = async || {
        let health = picker.health("readiness").await;
        Ok((health.is_err() || health.is_ok_and(|health| health == "NOT_SERVING")).then_some(()))
    };
    eventually("NOT_SERVING", turned_away).await.unwrap();
    assert!(
        picker.process_mut().ended().is_none(),
        "ended under a stream"
    );

    engine.allow("drain", 5);
    let rest = Answer::read(response).await.unwrap();
    assert!(rest.text().ends_with("data: [DONE]\n\n"), "{}", rest.text());
    let ended = async || Ok(picker.process_mut().ended());
    let status = eventually("the picker's end", ended).await.unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_scorer_that_is_frozen_does_not_hold_requests_and_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let setup = IndexSetup::new("m");
    let index = Index::start(programs(), &setup, folder.path());
    let index = index.await.unwrap();
    let engines = echoes(&["127.0.0.1:0", "127.0.0.1:0"]).await;
    let bench = Bench::before(engines, Pool::OriginalDst, |setup| {
        setup.manifests.mode = Mode::Tracking;
        setup.scorers = vec![index.grpc()];
    });
    let bench = bench.await;
    assert_eq!(addresses(&bench.engines).len(), 2);
    let mode = async |test: &'static str| {
        let answer = bench.ask(chat(test)).await;
        let seen = bench.assert_served(&answer, test);
        let handled = bench.gateway.handled(seen.header("x-request-id")).await;
        let mode = handled?["mode"].as_str().unwrap_or("none").to_owned();
        anyhow::Ok(mode)
    };
    let scored = async |test| Ok((mode(test).await? == "tracking").then_some(()));
    eventually("a scored request", async || scored("before").await)
        .await
        .unwrap();

    index.freeze().await.unwrap();
    assert_eq!(mode("frozen").await.unwrap(), "fallback");
    assert_eq!(mode("frozen still").await.unwrap(), "fallback");

    index.thaw().await.unwrap();
    eventually("scores again", async || scored("after").await)
        .await
        .unwrap();
}

/// Requests that come after the picker has been killed are answered, and it is
/// used again as soon as it is back.
#[tokio::test]
async fn a_picker_that_comes_back_is_used_again() {
    let mut bench = Bench::with(Pool::OriginalDst, 1, |_| {}).await;
    assert_eq!(bench.ask(chat("before")).await.status, 200);
    bench.gateway.picker.process_mut().kill().await.unwrap();
    let answered = tokio::time::timeout(LIMIT, bench.ask(chat("without"))).await;
    let status = answered.unwrap().status.as_u16();
    assert!([500, 503].contains(&status), "{status}");
    bench.gateway.picker.restart().await.unwrap();
    let again = async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok((bench.ask(chat("again")).await.status == 200).then_some(()))
    };
    eventually("answers again", again).await.unwrap();
}
