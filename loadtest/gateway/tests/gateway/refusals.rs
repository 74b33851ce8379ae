//! What the picker answers itself: statuses, headers, and words without any of
//! the prompt.

use loadtest_gateway::{Answer, GatewaySetup, Model, Pool, eventually, post};
use serde_json::json;

use crate::bench::{Bench, CHAT, HOST, chat, marked, said};
use crate::requests::whole;

const SECRET: &str = "my-secret-prompt";

/// A refusal in OpenAI's form, without the prompt.
fn assert_refused(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json().unwrap();
    let message = body["error"]["message"].as_str().unwrap();
    assert!(!message.is_empty());
    assert!(body["error"]["code"].is_string(), "{body}");
    assert!(body["error"]["type"].is_string(), "{body}");
    assert!(!answer.text().contains(SECRET), "{}", answer.text());
}

#[tokio::test]
async fn bodies_that_are_no_request_are_400() {
    let bench = Bench::start(Pool::OriginalDst).await;
    let deep = "[".repeat(100_000);
    let bodies = [
        format!("{{\"model\": \"m\", \"messages\": \"{SECRET}\""),
        SECRET.to_owned(),
        format!("{{\"messages\": [{{\"content\": \"{SECRET}\"}}]}}"),
        format!("{{\"model\": 7, \"prompt\": \"{SECRET}\"}}"),
        format!("{{\"model\": \"m\", \"messages\": {deep}"),
        "[]".to_owned(),
        "null".to_owned(),
    ];
    for body in bodies {
        let shown: String = body.chars().take(60).collect();
        let request = chat("bad").map(|_| whole(body));
        let answer = bench.ask(request).await;
        assert_eq!(answer.status, 400, "{shown}");
        assert_refused(&answer, 400);
    }
    let invalid = b"{\"model\": \"m\", \"messages\": \"\xff\xfe\"}".to_vec();
    let answer = bench.ask(chat("bad").map(|_| whole(invalid))).await;
    assert_refused(&answer, 400);
    let served: u64 = bench.engines.iter().map(|engine| engine.served()).sum();
    assert_eq!(served, 0);
    let log = bench.gateway.picker.log().text().unwrap();
    assert!(!log.contains(SECRET));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413() {
    let bench = Bench::start(Pool::OriginalDst).await;
    let body = said(&"x".repeat(17 << 20)).to_string();
    let answer = bench.ask(chat("long").map(|_| whole(body))).await;
    assert_refused(&answer, 413);
    assert_eq!(bench.ask(chat("next")).await.status, 200);
}

#[tokio::test]
async fn without_endpoints_the_answer_is_503() {
    let bench = Bench::with(Pool::OriginalDst, 1, |setup| {
        setup.manifests.endpoints.clear();
    });
    let bench = bench.await;
    let answer = bench.ask(chat("nobody")).await;
    assert_refused(&answer, 503);
    let reason = answer.header("x-llm-d-request-dropped-reason");
    assert_eq!(reason, "rejected-no-endpoints");
}

fn two_models(setup: &mut GatewaySetup) {
    for (name, criticality) in [("batch", "Sheddable"), ("m", "Critical")] {
        setup.manifests.models.push(Model {
            name,
            criticality,
            target: None,
        });
    }
}

#[tokio::test]
async fn when_all_are_saturated_sheddable_requests_are_429_and_critical_ones_pass() {
    let bench = Bench::with(Pool::OriginalDst, 2, two_models).await;
    let sheddable = || {
        let body = json!({"model": "batch", "messages": []});
        marked(post(HOST, CHAT, &body), "sheddable")
    };
    assert_eq!(bench.ask(sheddable()).await.status, 200);
    for engine in &bench.engines {
        engine.set_load(200, 99);
    }
    let shed = async || {
        let answer = bench.ask(sheddable()).await;
        Ok((answer.status != 200).then_some(answer))
    };
    let shed = eventually("a shed request", shed).await.unwrap();
    assert_refused(&shed, 429);
    let reason = shed.header("x-llm-d-request-dropped-reason");
    assert_eq!(reason, "rejected-saturated");
    let pause: u64 = shed.header("retry-after").parse().unwrap();
    assert!(pause >= 1);
    assert_eq!(bench.ask(chat("critical")).await.status, 200);
    for engine in &bench.engines {
        engine.set_load(0, 0);
    }
    let again = async || Ok((bench.ask(sheddable()).await.status == 200).then_some(()));
    eventually("room again", again).await.unwrap();
}

#[tokio::test]
async fn the_access_log_says_why() {
    let bench = Bench::start(Pool::OriginalDst).await;
    let request = chat("why").map(|_| whole("no json"));
    assert_eq!(bench.ask(request).await.status, 400);
    let line = bench.gateway.accessed("why").await.unwrap();
    let details = line["details"].as_str().unwrap();
    assert!(!details.is_empty() && details != "-", "{line}");
    assert!(!details.contains("json\""), "{line}");
}
