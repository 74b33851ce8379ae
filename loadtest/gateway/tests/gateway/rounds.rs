//! The two requests that users verify a picker with, one after the other: the
//! same endpoint, and the lines in the log that they look for.

use loadtest_gateway::{
    Fleet, Gateway, GatewaySetup, Index, IndexSetup, Manifests, Mode, Pool, eventually, post,
    round_one, round_two,
};
use serde_json::Value;

use crate::bench::{Bench, CHAT, HOST, echoes, marked, programs, with_header};

const MODEL: &str = "Qwen3-32B";

async fn index() -> (Index, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let setup = IndexSetup::new(MODEL);
    let index = Index::start(programs(), &setup, folder.path());
    (index.await.unwrap(), folder)
}

/// Sends one round; which engine answered, and the picker's line.
async fn round(bench: &Bench, body: &Value, id: &str) -> (String, Value) {
    let request = marked(post(HOST, CHAT, body), "round");
    let request = with_header(request, "x-request-id", id);
    let answer = bench.ask(request).await;
    bench.assert_served(&answer, "round");
    let handled = bench.gateway.handled(id).await.unwrap();
    (answer.header("x-engine").to_owned(), handled)
}

#[tokio::test]
async fn in_estimation_mode_the_second_round_goes_where_the_first_went() {
    let (index, _folder) = index().await;
    let engines = echoes(&["127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"]).await;
    let bench = Bench::before(engines, Pool::OriginalDst, |setup| {
        setup.manifests.mode = Mode::Estimation;
        setup.scorers = vec![index.grpc()];
    });
    let bench = bench.await;
    // By chance alone, ten of three would meet once in 59,049 runs.
    for user in 0..10 {
        let id = format!("one-{user}");
        let (first, handled) = round(&bench, &round_one(MODEL, user), &id).await;
        assert_eq!(handled["model"], MODEL);
        recorded(&bench, 2 * user + 1).await;
        let id = format!("two-{user}");
        let (second, handled) = round(&bench, &round_two(MODEL, user), &id).await;
        assert_eq!(first, second, "{handled}");
        let address = bench.engine_of(&first).address().to_string();
        assert!(
            handled["endpoint"].to_string().contains(&address),
            "{handled}"
        );
        let line = bench.gateway.line("Do prefix-aware routing!", &id).await;
        let ratio = line.unwrap()["matching ratio"].as_str().unwrap().to_owned();
        let (matched, threshold) = ratio.trim().split_once(" > ").unwrap();
        assert_eq!(threshold, "0.50", "{ratio}");
        assert!(matched.parse::<f64>().unwrap() > 0.5, "{ratio}");
    }
}

#[tokio::test]
async fn in_tracking_mode_the_second_round_goes_where_the_first_is_cached() {
    let (index, _folder) = index().await;
    let fleet = Fleet::start(3, MODEL, &index, |_| {}).await.unwrap();
    let manifests = Manifests::new(&fleet.addresses(), Mode::Tracking);
    let mut setup = GatewaySetup::new(Pool::OverrideHost, manifests);
    setup.scorers = vec![index.grpc()];
    let gateway = Gateway::start(programs(), &setup).await.unwrap();
    for user in 0..10 {
        let first = tracked(&gateway, &round_one(MODEL, user), &format!("one-{user}")).await;
        let second = tracked(&gateway, &round_two(MODEL, user), &format!("two-{user}")).await;
        assert_eq!(first.engine, second.engine, "{}", second.handled);
        assert_eq!(second.handled["mode"], "tracking", "{}", second.handled);
        assert!(second.cached > 0, "{}", second.handled);
        let predicted = second.handled["predicted_cached_tokens"].as_u64();
        assert_eq!(predicted, Some(second.cached), "{}", second.handled);
    }
}

/// One round before simulated engines.
struct Tracked {
    engine: String,
    cached: u64,
    handled: Value,
}

async fn tracked(gateway: &Gateway, body: &Value, id: &str) -> Tracked {
    let request = with_header(post(HOST, CHAT, body), "x-request-id", id);
    let answer = gateway.ask(request).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let usage = answer.usage().unwrap();
    Tracked {
        engine: answer.header("x-engine").to_owned(),
        cached: usage["prompt_tokens_details"]["cached_tokens"]
            .as_u64()
            .unwrap_or(0),
        handled: gateway.handled(id).await.unwrap(),
    }
}

/// Returns when so many routes have been recorded.
async fn recorded(bench: &Bench, routes: u32) {
    let recorded = async || {
        let metrics = bench.gateway.picker.metrics().await?;
        let records = metrics.sum("kvatlas_epp_routes_recorded_total", &[]);
        Ok((records >= f64::from(routes)).then_some(()))
    };
    eventually("a recorded route", recorded).await.unwrap();
}
