//! InferenceModels that map names: the body changes, and its length with it.

use loadtest_gateway::{GatewaySetup, Model, Pool, post};
use serde_json::{Value, json};

use crate::bench::{Bench, CHAT, HOST, marked};

const MODELS: [Model; 3] = [
    Model {
        name: "short",
        criticality: "Standard",
        target: Some("a-name-that-is-much-longer"),
    },
    Model {
        name: "a-name-that-is-to-be-shortened",
        criticality: "Critical",
        target: Some("s"),
    },
    Model {
        name: "as-it-is",
        criticality: "Sheddable",
        target: None,
    },
];

fn with_models(setup: &mut GatewaySetup) {
    setup.manifests.models = MODELS.to_vec();
}

/// Every other byte stays: order, spaces, escapes, numbers.
fn body(model: &str) -> String {
    format!(
        " {{\"temperature\": 0.70,\"messages\":[{{\"role\":\"user\",\n\"content\":\"\\u00e9 \\\"model\\\": \\\"short\\\"\"}}],  \
         \"model\" : \"{model}\" , \"seed\":1e3}} "
    )
}

async fn rewritten(pool: Pool, host: &'static str) {
    let bench = Bench::with(pool, 1, with_models).await;
    for model in &MODELS {
        let request = post(host, CHAT, &Value::Null);
        let sent = body(model.name);
        let request = marked(request, "model").map(|_| crate::requests::whole(sent));
        let answer = bench.ask(request).await;
        let seen = bench.assert_served(&answer, "model");
        let target = model.target.unwrap_or(model.name);
        assert_eq!(seen.body, body(target));
        let length = seen.header("content-length");
        assert!(
            length.is_empty() || length == seen.body.len().to_string(),
            "content-length {length} for {} bytes",
            seen.body.len()
        );
        let handled = bench.gateway.handled(seen.header("x-request-id")).await;
        let handled = handled.unwrap();
        assert_eq!(handled["model"], model.name);
        assert_eq!(handled["resolvedTargetModel"], target);
        assert_eq!(handled["criticality"], model.criticality);
    }
}

#[tokio::test]
async fn names_become_longer_and_shorter() {
    rewritten(Pool::OriginalDst, HOST).await;
}

#[tokio::test]
async fn names_become_longer_and_shorter_before_known_endpoints() {
    rewritten(Pool::OverrideHost, HOST).await;
}

#[tokio::test]
async fn a_gateway_that_keeps_the_content_length_is_given_the_new_one() {
    rewritten(Pool::OriginalDst, "length.test").await;
}

#[tokio::test]
async fn with_the_content_length_kept_the_next_request_is_not_out_of_step() {
    let bench = Bench::with(Pool::OriginalDst, 1, with_models).await;
    let address = bench.gateway.envoy.inference();
    let mut client = loadtest_gateway::Client::connect(address).await.unwrap();
    for model in [
        "short",
        "a-name-that-is-to-be-shortened",
        "as-it-is",
        "short",
    ] {
        let json = json!({"model": model, "messages": []});
        let request = marked(post("length.test", CHAT, &json), "step");
        let answer = client.ask(request).await.unwrap();
        let seen = bench.assert_served(&answer, "step");
        let length = seen.header("content-length");
        assert_eq!(length, seen.body.len().to_string(), "{model}");
    }
}
