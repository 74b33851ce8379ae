//! Responses on their way to the client: every part at once, and counted.

use std::time::Duration;

use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use loadtest_gateway::{Answer, Client, Pool, eventually, post};
use serde_json::json;

use crate::bench::{Bench, CHAT, HOST, chat, marked, with_header};

const LONG: Duration = Duration::from_secs(60);

/// A request whose answer is so many events.
fn streaming(test: &'static str, echo: &str) -> http::Request<loadtest_gateway::Body> {
    let body = json!({"model": "m", "stream": true, "messages": []});
    with_header(marked(post(HOST, CHAT, &body), test), "x-echo", echo)
}

fn engine_name(response: &Response<Incoming>) -> String {
    response.headers()["x-engine"].to_str().unwrap().to_owned()
}

/// The next bytes, as soon as there are any.
async fn next(response: &mut Response<Incoming>) -> String {
    let frame = tokio::time::timeout(LONG, response.frame()).await;
    let frame = frame.expect("a part in time").expect("a part").unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

/// Events are allowed one by one: a part that is held back anywhere hangs.
async fn every_part_passes_at_once(pool: Pool, test: &'static str) {
    let bench = Bench::start(pool).await;
    let mut client = Client::connect(bench.gateway.envoy.inference())
        .await
        .unwrap();
    let mut response = client.send(streaming(test, "sse=3")).await.unwrap();
    let engine = bench.engine_of(&engine_name(&response));
    let mut heard = String::new();
    for end in ["\"index\":0,", "\"index\":1,", "\"index\":2,"] {
        engine.allow(test, 1);
        while !heard.contains(end) {
            heard += &next(&mut response).await;
        }
    }
    // `usage` comes in two parts.
    let before = heard.len();
    engine.allow(test, 1);
    while heard.len() == before {
        heard += &next(&mut response).await;
    }
    assert!(!heard.ends_with("\n\n"), "{heard:?}");
    engine.allow(test, 2);
    let rest = Answer::read(response).await.unwrap();
    heard += &rest.text();
    assert!(heard.ends_with("data: [DONE]\n\n"), "{heard:?}");
    let id = engine.seen(test).unwrap();
    let id = id.header("x-request-id").to_owned();
    let finished = bench.gateway.line("Request finished", &id).await.unwrap();
    assert_eq!(finished["cached_tokens"], 4, "{finished}");
}

#[tokio::test]
async fn events_pass_unbuffered_and_a_split_usage_is_read() {
    every_part_passes_at_once(Pool::OriginalDst, "sse").await;
}

#[tokio::test]
async fn events_pass_unbuffered_from_known_endpoints() {
    every_part_passes_at_once(Pool::OverrideHost, "sse").await;
}

#[tokio::test]
async fn the_response_keeps_its_headers_and_trailers() {
    let bench = Bench::start(Pool::OriginalDst).await;
    let request = with_header(chat("trailers"), "x-echo", "trailers");
    let request = with_header(request, "te", "trailers");
    let answer = bench.ask(request).await;
    bench.assert_served(&answer, "trailers");
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    let trailers = answer.trailers.expect("trailers");
    assert_eq!(trailers["x-engine-trailer"], "last");
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_by_engine_and_picker() {
    let bench = Bench::start(Pool::OriginalDst).await;
    let mut client = Client::connect(bench.gateway.envoy.inference())
        .await
        .unwrap();
    let mut response = client.send(streaming("leaves", "sse=5")).await.unwrap();
    let engine = bench.engine_of(&engine_name(&response));
    engine.allow("leaves", 1);
    next(&mut response).await;
    drop(response);
    drop(client);
    let left = async || Ok((engine.left() == 1).then_some(()));
    eventually("the engine's notice", left).await.unwrap();
    let id = engine.seen("leaves").unwrap();
    let id = id.header("x-request-id").to_owned();
    let finished = bench.gateway.line("Request finished", &id).await.unwrap();
    assert_eq!(finished["end"], "cancelled", "{finished}");
}

#[tokio::test]
async fn an_engine_that_dies_in_mid_answer_cuts_it_and_nothing_else() {
    let bench = Bench::with(Pool::OriginalDst, 1, |_| {}).await;
    let engine = &bench.engines[0];
    let envoy = bench.gateway.envoy.inference();
    let mut other = Client::connect(envoy).await.unwrap();
    let mut beside = other.send(streaming("beside", "sse=2")).await.unwrap();
    engine.allow("beside", 1);
    let mut heard = next(&mut beside).await;

    let mut client = Client::connect(envoy).await.unwrap();
    let mut response = client.send(streaming("dies", "die=1")).await.unwrap();
    engine.allow("dies", 1);
    let died = async {
        while let Some(frame) = response.frame().await {
            frame?;
        }
        Ok::<_, hyper::Error>(())
    };
    let died = tokio::time::timeout(LONG, died).await;
    let died = died.expect("the answer of a dead engine does not hang");
    assert!(died.is_err(), "a cut answer looks whole");
    engine.allow("beside", 4);
    let rest = Answer::read(beside).await.unwrap();
    heard += &rest.text();
    assert!(heard.ends_with("data: [DONE]\n\n"), "{heard:?}");
}

#[tokio::test]
async fn the_picker_learns_who_served() {
    for pool in [Pool::OriginalDst, Pool::OverrideHost] {
        let bench = Bench::start(pool).await;
        let answer = bench.ask(chat("served")).await;
        let seen = bench.assert_served(&answer, "served");
        let id = seen.header("x-request-id");
        let finished = bench.gateway.line("Request finished", id).await.unwrap();
        let address = bench.engine_of(answer.header("x-engine")).address();
        assert_eq!(finished["served"], address.to_string(), "{finished}");
        assert_eq!(finished["status"], 200, "{finished}");
        assert_eq!(finished["cached_tokens"], 4, "{finished}");
    }
}

/// Gateways may keep the response, or its body, to themselves.
#[tokio::test]
async fn responses_that_the_picker_is_not_shown_pass() {
    let bench = Bench::start(Pool::OriginalDst).await;
    for (host, test) in [("headers.test", "headers"), ("requests.test", "requests")] {
        let body = json!({"model": "m", "messages": []});
        let answer = bench.ask(marked(post(host, CHAT, &body), test)).await;
        bench.assert_served(&answer, test);
        assert!(answer.usage().is_some());
    }
}
