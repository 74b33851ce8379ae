//! An ordered list of endpoints: the first is dead, the second serves.

use loadtest_gateway::{EchoEngine, Pool, post};

use crate::bench::{Bench, CHAT, chat, echoes, marked, said, with_header};
use crate::requests::{large, whole};

const CHOICES: [&str; 2] = ["--set", "epp.choices=2"];

/// Two engines: one looks idle and refuses, one looks busy and serves.
async fn one_refuses() -> (Bench, &'static str) {
    let bench = Bench::with(Pool::OverrideHost, 2, |setup| {
        *setup = setup.clone().with(&CHOICES);
    });
    let bench = bench.await;
    bench.engines[1].set_load(3, 10);
    (bench, "engine-1")
}

#[tokio::test]
async fn when_the_first_choice_refuses_the_second_serves_and_is_booked() {
    let (bench, serving) = one_refuses().await;
    bench.engines[0].refuse(true);
    let retried = async |test: &'static str| {
        let answer = bench.ask(chat(test)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-engine"), serving);
        bench.gateway.accessed(test).await.unwrap()
    };
    let mut tried_both = false;
    for test in ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"] {
        let line = retried(test).await;
        if line["attempts"] != 2 {
            continue;
        }
        tried_both = true;
        let id = bench.engines[1].seen(test).unwrap();
        let id = id.header("x-request-id").to_owned();
        let finished = bench.gateway.line("Request finished", &id).await.unwrap();
        let served = bench.engines[1].address().to_string();
        assert_eq!(finished["served"], served, "{finished}");
    }
    assert!(tried_both, "the refusing engine was never the first choice");
}

#[tokio::test]
async fn large_bodies_are_sent_again_where_the_gateway_keeps_them() {
    let (bench, serving) = one_refuses().await;
    bench.engines[0].refuse(true);
    let body = large(2);
    for _ in 0..5 {
        let request = marked(post("retries.test", CHAT, &said("x")), "again");
        let answer = bench.ask(request.map(|_| whole(body.clone()))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-engine"), serving);
        let seen = bench.engines[1].seen("again").unwrap();
        assert!(seen.body == body, "{} bytes", seen.body.len());
    }
}

#[tokio::test]
async fn a_dead_endpoint_in_the_list_is_passed_over() {
    let mut engines = echoes(&["127.0.0.1:0", "127.0.0.1:0"]).await;
    let dead = engines[0].address().to_string();
    let bench = Bench::with(Pool::OverrideHost, 1, |setup| {
        *setup = setup.clone().with(&CHOICES);
        setup.manifests.endpoints = engines.iter().map(EchoEngine::address).collect();
    });
    let bench = bench.await;
    drop(engines.remove(0));
    let hint = format!("{dead}, {}", engines[0].address());
    for _ in 0..10 {
        let request = with_header(chat("dead"), "x-test-subset", &hint);
        let answer = bench.ask(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(engines[0].served(), 10);
}

#[tokio::test]
async fn by_default_one_endpoint_is_named() {
    let bench = Bench::start(Pool::OverrideHost).await;
    let answer = bench.ask(chat("one")).await;
    let seen = bench.assert_served(&answer, "one");
    assert!(!seen.header("x-gateway-destination-endpoint").contains(','));
}
