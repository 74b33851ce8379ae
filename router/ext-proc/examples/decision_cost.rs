//! What a decision costs without scorers and sockets: reading the body, picking,
//! books, log line. `cargo run --release -p router-ext-proc --example decision_cost`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use router_discovery::{PoolEndpoint, PoolView, Strategy};
use router_ext_proc::{
    Asked, Decide, Decider, DeciderOptions, Headers, NoLoads, Scorers, ScorersOptions, Subset,
};
use tokio::sync::watch;

/// Decisions per row.
const ROUNDS: usize = 2000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut table = String::from("body bytes  endpoints  p50 us  p99 us\n");
    for endpoints in [8, 1000] {
        for tokens in [1_000, 8_000, 32_000, 200_000] {
            let (p50, p99) = measure(endpoints, tokens * 4).await;
            table += &format!(
                "{:>10}  {endpoints:>9}  {p50:>6.0}  {p99:>6.0}\n",
                tokens * 4
            );
        }
    }
    #[expect(clippy::print_stdout, reason = "an example's result")]
    {
        print!("{table}");
    }
}

async fn measure(endpoints: u16, bytes: usize) -> (f64, f64) {
    let (_sender, views) = watch::channel(Arc::new(pool(endpoints)));
    let scorers = Arc::new(Scorers::start(ScorersOptions::default()));
    let decider = Decider::new(views, Arc::new(NoLoads), scorers, DeciderOptions::default());
    let words = "the quick brown fox says \\\"hello\\\"\\n".repeat(bytes / 36);
    let body = format!(r#"{{"messages":[{{"role":"user","content":"{words}"}}],"model":"m"}}"#);
    let body = bytes::Bytes::from(body);
    let mut took = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let asked = Asked {
            request_id: round.to_string(),
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            headers: Headers::default(),
            body: Some(body.clone()),
            subset: Subset::Whole,
            arrived: Instant::now(),
            deadline: Instant::now() + Duration::from_secs(60),
        };
        let began = Instant::now();
        let routed = decider.decide(asked).await;
        took.push(began.elapsed().as_secs_f64() * 1e6);
        assert!(routed.is_ok());
    }
    took.sort_by(f64::total_cmp);
    (took[ROUNDS / 2], took[ROUNDS * 99 / 100])
}

fn pool(endpoints: u16) -> PoolView {
    let endpoint = |number: u16| {
        Arc::new(PoolEndpoint {
            name: format!("default/{number}"),
            address: ([10, 0, (number >> 8) as u8, number as u8], 8000).into(),
            labels: Default::default(),
        })
    };
    PoolView {
        synced: true,
        endpoints: (0..endpoints).map(endpoint).collect(),
        strategy: Strategy::LoadOnly,
        ..PoolView::default()
    }
}
