//! Every process restarted, one at a time, while somebody asks all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use proto_api::v1::score_request::Input;
use proto_api::v1::scorer_client::ScorerClient;
use proto_api::v1::{ReplicaState, ScoreRequest, ScoreResponse, TokenIds};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::cluster::{Cluster, MODEL, engine, last_prompt, recorded, reusable, settled};
use super::role::{Role, free_port, ready};

/// Asks one of several scorers, and the next one if it is unavailable, as gRPC
/// clients do.
struct Client {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    thread: JoinHandle<Vec<String>>,
}

impl Client {
    fn start(scorers: &[&Role]) -> Self {
        let (stop, asked) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let urls: Vec<String> = scorers.iter().map(|scorer| scorer.at("grpc")).collect();
        let (until, count) = (Arc::clone(&stop), Arc::clone(&asked));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .expect("a runtime")
                .block_on(ask(urls, &until, &count))
        });
        Self {
            stop,
            asked,
            thread,
        }
    }

    /// How many answers came, and what was wrong with any of them.
    fn stop(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let wrong = self.thread.join().expect("the client");
        (self.asked.load(Ordering::Relaxed), wrong)
    }
}

async fn ask(urls: Vec<String>, stop: &AtomicBool, count: &AtomicU64) -> Vec<String> {
    let channel = |url: String| Channel::from_shared(url).expect("a URL").connect_lazy();
    let clients: Vec<_> = urls
        .into_iter()
        .map(|url| ScorerClient::new(channel(url)))
        .collect();
    let request = ScoreRequest {
        model: MODEL.to_owned(),
        input: Some(Input::Tokens(TokenIds {
            ids: last_prompt().0,
        })),
        include_unmatched: true,
        ..Default::default()
    };
    let (mut wrong, mut turn) = (Vec::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        match one(&clients, turn, &request).await {
            Ok(answer) if answer.endpoints.is_empty() => wrong.push("no endpoint".to_owned()),
            Ok(answer) if answer.state() == ReplicaState::Starting => {
                wrong.push("answered while starting".to_owned());
            }
            Ok(_) => {}
            Err(status) => wrong.push(status.to_string()),
        }
        count.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    wrong
}

async fn one(
    clients: &[ScorerClient<Channel>],
    turn: usize,
    request: &ScoreRequest,
) -> Result<ScoreResponse, Status> {
    let mut last = Status::unavailable("no scorer");
    for step in 0..clients.len() {
        let mut client = clients[(turn + step) % clients.len()].clone();
        match client.score(request.clone()).await {
            Ok(answer) => return Ok(answer.into_inner()),
            // tonic says cancelled of a question that the closing connection did
            // not carry any more; whoever fails over asks the next one.
            Err(status) if matches!(status.code(), Code::Unavailable | Code::Cancelled) => {
                last = status;
            }
            Err(status) => return Err(status),
        }
    }
    Err(last)
}

#[test]
fn a_rolling_restart_fails_nobody() {
    let replay = free_port();
    let (port, address) = (replay.to_string(), format!("tcp://127.0.0.1:{replay}"));
    let mut cluster = Cluster::three();
    let mut ingestors = [0, 1].map(|_| cluster.ingestor(&["--replay-port", &port]));
    let brief = ["--set", "scorer.drain_delay=500ms"];
    let mut scorers = [0, 1].map(|_| cluster.scorer(&brief));
    let [one, two] = &ingestors;
    let mut publisher = engine(&[one, two], "127.0.0.1:8000", &["--replay", &address]);
    publisher.publish(20);
    for scorer in &scorers {
        settled(scorer, &publisher);
        ready(&scorer.at("http"));
    }
    let client = Client::start(&scorers.each_ref());
    for at in 0..cluster.nodes.len() {
        cluster.nodes[at].role.restart();
        publisher.publish(5);
        ready(&cluster.nodes[at].role.at("http"));
    }
    for ingestor in &mut ingestors {
        ingestor.restart();
        publisher.publish(5);
        ready(&ingestor.at("http"));
    }
    for scorer in &mut scorers {
        scorer.restart();
        publisher.publish(5);
        ready(&scorer.at("http"));
    }
    publisher.publish(recorded() - publisher.published);
    for scorer in &scorers {
        let endpoint = settled(scorer, &publisher);
        assert_eq!(endpoint["trust"], "exact");
        assert_eq!(endpoint["lost"], 0);
        assert_eq!(reusable(scorer), last_prompt().1);
    }
    let (asked, wrong) = client.stop();
    assert!(
        wrong.is_empty(),
        "{} of {asked}: {:?}",
        wrong.len(),
        wrong.first()
    );
    assert!(asked > 100, "only {asked} questions");
}
