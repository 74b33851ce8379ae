//! Requests on their way to the engine: whole, whatever their shape.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request};
use loadtest_gateway::{Body, Client, Feeder, Mode, Pool, get, post};

use crate::bench::{Bench, CHAT, HOST, chat, echoes, marked, said, with_header};

#[tokio::test]
async fn a_post_goes_where_the_picker_says_by_header() {
    let bench = Bench::start(Pool::OriginalDst).await;
    let answer = bench.ask(chat("post")).await;
    let seen = bench.assert_served(&answer, "post");
    assert_eq!(seen.body, said("hello").to_string());
    assert_eq!(seen.method, Method::POST);
    assert_eq!(seen.path, CHAT);
}

#[tokio::test]
async fn a_post_goes_where_the_picker_says_by_metadata() {
    let bench = Bench::start(Pool::OverrideHost).await;
    let answer = bench.ask(chat("post")).await;
    let seen = bench.assert_served(&answer, "post");
    assert_eq!(seen.body, said("hello").to_string());
    let told = bench.gateway.accessed("post").await.unwrap();
    let address = bench.engine_of(answer.header("x-engine")).address();
    assert_eq!(told["upstream"], address.to_string());
    let named = &told["metadata"]["x-gateway-destination-endpoint"];
    assert_eq!(*named, address.to_string(), "{told}");
}

#[tokio::test]
async fn a_get_goes_to_a_ready_endpoint() {
    let bench = Bench::start(Pool::OriginalDst).await;
    let request = marked(get(HOST, "/v1/models?x=1"), "get");
    let answer = bench.ask(request).await;
    let seen = bench.assert_served(&answer, "get");
    assert_eq!(seen.path, "/v1/models?x=1");
    assert!(seen.body.is_empty());
}

#[tokio::test]
async fn a_post_without_a_body_goes_to_a_ready_endpoint() {
    let bench = Bench::start(Pool::OriginalDst).await;
    let mut request = get(HOST, "/v1/load_lora_adapter");
    *request.method_mut() = Method::POST;
    let request = with_header(marked(request, "empty"), "content-length", "0");
    let answer = bench.ask(request).await;
    let seen = bench.assert_served(&answer, "empty");
    assert_eq!(seen.method, Method::POST);
    assert!(seen.body.is_empty());
}

/// A body that is sent part by part, with trailers.
fn with_trailers(test: &'static str, parts: Vec<String>) -> Request<Body> {
    let (feeder, body) = Feeder::body();
    tokio::spawn(async move {
        for part in parts {
            feeder.send(part).await.unwrap();
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", HeaderValue::from_static("42"));
        feeder.trailers(trailers).await.unwrap();
    });
    // Envoy up to 1.40 sends a body with trailers twice where the route has retries
    // (envoyproxy/envoy#45470).
    let request = post("once.test", CHAT, &said("replaced")).map(|_| body);
    with_header(marked(request, test), "trailer", "x-checksum")
}

#[tokio::test]
async fn trailers_end_the_body_and_arrive() {
    let bench = Bench::start(Pool::OriginalDst).await;
    let body = said("with trailers").to_string();
    let (first, second) = body.split_at(20);
    let parts = vec![first.to_owned(), second.to_owned()];
    let answer = bench.ask(with_trailers("trailers", parts)).await;
    let seen = bench.assert_served(&answer, "trailers");
    assert_eq!(seen.body, body);
    let trailers = seen.trailers.expect("trailers");
    assert_eq!(trailers["x-checksum"], "42");
}

/// A chat body of about so many MiB.
pub(crate) fn large(mebibytes: usize) -> String {
    said(&"a hundred and one words ".repeat((mebibytes << 20) / 24)).to_string()
}

async fn a_large_body_arrives_whole(mebibytes: usize) {
    let bench = Bench::start(Pool::OriginalDst).await;
    let body = large(mebibytes);
    let request = chat("large").map(|_| whole(body.clone()));
    let answer = bench.ask(request).await;
    let seen = bench.assert_served(&answer, "large");
    assert!(
        seen.body == body,
        "{} bytes of {}",
        seen.body.len(),
        body.len()
    );
}

/// A body in one piece.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    use http_body_util::BodyExt;
    let body = http_body_util::Full::new(bytes.into());
    body.map_err(|never| match never {}).boxed()
}

#[tokio::test]
async fn two_megabytes_arrive_whole() {
    a_large_body_arrives_whole(2).await;
}

#[tokio::test]
async fn eight_megabytes_arrive_whole() {
    a_large_body_arrives_whole(8).await;
}

#[tokio::test]
async fn clients_with_http2_send_large_bodies_side_by_side() {
    let bench = Bench::start(Pool::OriginalDst).await;
    let body = large(1) + &" ".repeat(500_000);
    let client = Client::connect_http2(bench.gateway.envoy.inference()).await;
    let client = client.unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let mut client = client.beside().unwrap();
        let request = chat("http2").map(|_| whole(body.clone()));
        asking.spawn(async move { client.ask(request).await.unwrap() });
    }
    let answers = asking.join_all().await;
    assert_eq!(answers.len(), 16);
    for answer in &answers {
        let seen = bench.assert_served(answer, "http2");
        assert!(seen.body == body, "{} bytes", seen.body.len());
    }
}

#[tokio::test]
async fn endpoints_may_have_ipv6_addresses() {
    for pool in [Pool::OriginalDst, Pool::OverrideHost] {
        let engines = echoes(&["[::1]:0", "[::1]:0"]).await;
        let bench = Bench::before(engines, pool, |_| {}).await;
        let answer = bench.ask(chat("ipv6")).await;
        let seen = bench.assert_served(&answer, "ipv6");
        let told = seen.header("x-gateway-destination-endpoint");
        assert!(told.starts_with("[::1]:"), "{told}");
    }
}

#[tokio::test]
async fn a_request_without_an_id_gets_one_and_the_clients_own_is_kept() {
    let bench = Bench::with(Pool::OriginalDst, 1, |setup| {
        setup.makes_request_ids = false;
    });
    let bench = bench.await;
    let answer = bench.ask(chat("made")).await;
    let seen = bench.assert_served(&answer, "made");
    let made = seen.header("x-request-id");
    assert!(made.len() >= 16, "{made:?}");
    bench.gateway.handled(made).await.unwrap();

    let request = with_header(chat("kept"), "x-request-id", "of-the-client");
    let answer = bench.ask(request).await;
    let seen = bench.assert_served(&answer, "kept");
    assert_eq!(seen.header("x-request-id"), "of-the-client");
    bench.gateway.handled("of-the-client").await.unwrap();
}

#[tokio::test]
async fn the_id_that_envoy_makes_is_the_one_in_the_log() {
    let bench = Bench::start(Pool::OriginalDst).await;
    let answer = bench.ask(chat("id")).await;
    let seen = bench.assert_served(&answer, "id");
    let handled = bench.gateway.handled(seen.header("x-request-id")).await;
    assert_eq!(handled.unwrap()["model"], "m");
}

#[tokio::test]
async fn a_client_cannot_choose_the_endpoint() {
    let bench = Bench::start(Pool::OriginalDst).await;
    let outside = echoes(&["127.0.0.1:0"]).await;
    let elsewhere = outside[0].address().to_string();
    let request = with_header(chat("chosen"), "x-gateway-destination-endpoint", &elsewhere);
    let answer = bench.ask(request).await;
    bench.assert_served(&answer, "chosen");
    assert_eq!(outside[0].served(), 0);
}

#[tokio::test]
async fn control_headers_do_not_reach_the_engine() {
    let bench = Bench::with(Pool::OriginalDst, 1, |setup| {
        setup.manifests.mode = Mode::Load;
    });
    let bench = bench.await;
    let request = with_header(chat("control"), "x-gateway-inference-fairness-id", "tenant");
    let answer = bench.ask(request).await;
    let seen = bench.assert_served(&answer, "control");
    assert_eq!(seen.header("x-gateway-inference-fairness-id"), "");
}
