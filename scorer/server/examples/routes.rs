//! Measures what routes cost a scorer: to record them, and to ask for them.
//!
//! `cargo run --release -p scorer-server --example routes`
//!
//! Sixteen endpoints, an embedded store in memory. Conversations of 32 KiB (512
//! blocks of text, a quarter of it common to all) are estimated and recorded, first
//! one after another, then 256 at a time. Then two candidates are asked about before
//! and after routes to 100,000 made-up endpoints.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use indexer_store::{EmbeddedOptions, EmbeddedStore, IndexWatch};
use proto_api::v1::{RecordRouteRequest, RouteKind};
use proto_api::{Estimation, Input, ScoreAnswer, ScoreQuery};
use proto_model::Revision;
use scorer_index::IndexLimits;
use scorer_prompt::{LibraryConfig, ModelLibrary, RequestLimits};
use scorer_server::{
    FollowSettings, ModelCatalog, Prompts, Replica, Routes, Rpc, Scorer, ScorerLimits,
    ScorerMetrics, Scoring, Weights,
};
use tokio_util::sync::CancellationToken;

const ENDPOINTS: usize = 16;
const PROMPT_BYTES: usize = 32 << 10;
const ALONE: usize = 2000;
const TOGETHER: usize = 20_000;
const AT_A_TIME: usize = 256;
const MADE_UP: usize = 100_000;

struct Bench {
    scorer: Arc<Scorer>,
    routes: Arc<Routes>,
}

impl Bench {
    async fn start(stop: &CancellationToken) -> Self {
        let store = Arc::new(EmbeddedStore::in_memory(EmbeddedOptions::default()));
        let replica = Replica::new(IndexLimits::default(), FollowSettings::default());
        let watch: Arc<dyn IndexWatch> = Arc::clone(&store) as _;
        tokio::spawn(Arc::clone(&replica).follow(watch, stop.clone()));
        replica.reached(Revision(0)).await;
        let library = Arc::new(ModelLibrary::new(LibraryConfig::default()));
        let prompts = Prompts::new(library, RequestLimits::default());
        let catalog = Arc::new(ModelCatalog::default());
        let scoring = Scoring::new(replica, catalog, prompts, Weights::default());
        let limits = ScorerLimits::default();
        let scorer = Scorer::new(scoring, limits, ScorerMetrics::default());
        let (routes, writing) = Routes::new(&scorer, "default".to_owned(), vec![store as _]);
        tokio::spawn(writing.run(stop.clone()));
        Self { scorer, routes }
    }

    async fn estimate(&self, number: usize) -> ScoreAnswer {
        let query = ScoreQuery {
            estimation: Some(Estimation::default()),
            include_route_keys: true,
            ..ScoreQuery::new("", Input::Chat(body(number).into()))
        };
        let outcome = self.scorer.score(Rpc::Score, Ok(query), None).await;
        outcome.expect("an answer").into_answer()
    }

    /// What a question about two candidates takes.
    async fn ask_about_two(&self, what: &str) {
        let mut asked = Vec::new();
        for _ in 0..ALONE / 10 {
            let candidates = ["10.0.0.1:8000", "10.0.0.2:8000"];
            let query = ScoreQuery {
                estimation: Some(Estimation::default()),
                candidates: candidates.map(|name| name.parse().expect("valid")).to_vec(),
                ..ScoreQuery::new("", Input::Chat(body(1).into()))
            };
            let start = Instant::now();
            let outcome = self.scorer.score(Rpc::Score, Ok(query), None).await;
            asked.push(start.elapsed());
            outcome.expect("an answer");
        }
        print(what, asked);
    }

    async fn record(&self, number: usize, keys: Vec<u64>) {
        let address = format!("10.0.0.{}:8000", number % ENDPOINTS);
        self.record_at(address, keys).await;
    }

    async fn record_at(&self, address: String, keys: Vec<u64>) {
        let request = RecordRouteRequest {
            address,
            kind: RouteKind::Estimated.into(),
            keys,
            ..Default::default()
        };
        let recorded = self.routes.record(request.try_into(), None).await;
        recorded.expect("recorded");
    }
}

fn body(number: usize) -> String {
    let common = "You are a helpful assistant of this company. ".repeat(PROMPT_BYTES / 4 / 45);
    let own = format!("Question {number} of many. ").repeat(PROMPT_BYTES / 4 * 3 / 24);
    format!(
        r#"{{"model":"m","messages":[{{"role":"system","content":"{common}"}},{{"role":"user","content":"{own}"}}]}}"#
    )
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_micros();
    println!("{what}: p50 {} us, p99 {} us", at(0.5), at(0.99));
}

#[tokio::main]
async fn main() {
    let stop = CancellationToken::new();
    let bench = Bench::start(&stop).await;
    let (mut asked, mut recorded) = (Vec::new(), Vec::new());
    for number in 0..ALONE {
        let start = Instant::now();
        let mut answer = bench.estimate(number).await;
        asked.push(start.elapsed());
        let keys = answer.route_keys.remove(0).keys;
        let keys = keys.iter().map(|key| key.0).collect();
        let start = Instant::now();
        bench.record(number, keys).await;
        recorded.push(start.elapsed());
    }
    let blocks = bench.estimate(0).await.prompt_blocks;
    print(&format!("estimate of {blocks} blocks, alone"), asked);
    print(&format!("record of {blocks} keys, alone"), recorded);

    let (bench, start) = (&bench, Instant::now());
    let calls = stream::iter(0..TOGETHER).map(|number| async move {
        let keys = (0..u64::from(blocks)).map(|key| key ^ ((number as u64) << 20));
        bench.record(number, keys.collect()).await;
    });
    calls.buffer_unordered(AT_A_TIME).collect::<()>().await;
    let rate = TOGETHER as f64 / start.elapsed().as_secs_f64();
    println!("records of {blocks} keys, {AT_A_TIME} at a time: {rate:.0}/s");

    bench.ask_about_two("two candidates").await;
    let calls = stream::iter(0..MADE_UP).map(|number| async move {
        let [_, high, middle, low] = (number as u32).to_be_bytes();
        let address = format!("10.{}.{middle}.{low}:80", high + 1);
        bench.record_at(address, vec![number as u64]).await;
    });
    calls.buffer_unordered(AT_A_TIME).collect::<()>().await;
    let what = format!("two candidates, after routes to {MADE_UP} made-up endpoints");
    bench.ask_about_two(&what).await;
    stop.cancel();
}
