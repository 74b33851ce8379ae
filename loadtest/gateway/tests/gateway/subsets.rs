//! The gateway's subset hint binds the picker: as text, as a list, as nothing.

use std::collections::BTreeSet;

use http::Method;
use loadtest_gateway::{Pool, get, post};

use crate::bench::{Bench, CHAT, HOST, chat, marked, said, with_header};

const TRIES: usize = 12;

/// Who answers when this is hinted at as text.
async fn hinted(bench: &Bench, hint: &str) -> BTreeSet<String> {
    let mut served = BTreeSet::new();
    for _ in 0..TRIES {
        let request = with_header(chat("hinted"), "x-test-subset", hint);
        let answer = bench.ask(request).await;
        bench.assert_served(&answer, "hinted");
        served.insert(answer.header("x-engine").to_owned());
    }
    served
}

#[tokio::test]
async fn a_subset_as_text_binds() {
    let bench = Bench::with(Pool::OriginalDst, 3, |_| {}).await;
    let [_, second, third] = bench.addresses()[..] else {
        unreachable!("three engines")
    };
    let one = hinted(&bench, &second.to_string()).await;
    assert_eq!(one, BTreeSet::from(["engine-1".to_owned()]));
    let two = hinted(&bench, &format!("{second}, {third}")).await;
    assert!(!two.contains("engine-0"), "{two:?}");
}

#[tokio::test]
async fn a_subset_without_a_port_means_every_port() {
    let bench = Bench::with(Pool::OriginalDst, 2, |_| {}).await;
    let both = hinted(&bench, "127.0.0.1").await;
    assert!(!both.is_empty());
    let request = with_header(chat("port"), "x-test-subset", "127.0.0.2");
    assert_eq!(bench.ask(request).await.status, 503);
}

#[tokio::test]
async fn a_subset_as_a_list_binds() {
    let bench = Bench::with(Pool::OverrideHost, 3, |setup| {
        setup.subset = setup.manifests.endpoints[1..2].to_vec();
    });
    let bench = bench.await;
    for _ in 0..TRIES {
        let request = marked(post("subset.test", CHAT, &said("list")), "list");
        let answer = bench.ask(request).await;
        bench.assert_served(&answer, "list");
        assert_eq!(answer.header("x-engine"), "engine-1");
    }
}

#[tokio::test]
async fn a_subset_binds_requests_without_a_body_too() {
    let bench = Bench::with(Pool::OriginalDst, 3, |_| {}).await;
    let third = bench.addresses()[2].to_string();
    for _ in 0..TRIES {
        let request = marked(get(HOST, "/v1/models"), "get");
        let request = with_header(request, "x-test-subset", &third);
        let answer = bench.ask(request).await;
        let seen = bench.assert_served(&answer, "get");
        assert_eq!(seen.method, Method::GET);
        assert_eq!(answer.header("x-engine"), "engine-2");
    }
}

#[tokio::test]
async fn a_subset_of_nobody_is_503_and_never_the_whole_pool() {
    let bench = Bench::with(Pool::OverrideHost, 2, |_| {}).await;
    let nobody = [
        post("nobody.test", CHAT, &said("list")),
        get("nobody.test", "/v1/models"),
        with_header(chat("strangers"), "x-test-subset", "10.9.8.7:1"),
        with_header(chat("rubbish"), "x-test-subset", "no address"),
    ];
    for request in nobody {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = bench.ask(request).await;
        assert_eq!(answer.status, 503, "{what}: {}", answer.text());
        let reason = answer.header("x-llm-d-request-dropped-reason");
        assert_eq!(reason, "rejected-no-endpoints", "{what}");
    }
    let served: u64 = bench.engines.iter().map(|engine| engine.served()).sum();
    assert_eq!(served, 0);
}
