//! Services that panic, behind the same layers as the real ones.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use proto_api::v1::scorer_client::ScorerClient;
use proto_api::v1::scorer_server::{Scorer, ScorerServer};
use proto_api::v1::{ScoreRequest, ScoreResponse};
use scorer_index::IndexLimits;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status, Streaming};
use tower::ServiceExt;

use super::*;
use crate::{Answering, FollowSettings, Replica};

const SECRET: &str = "what the user wrote";

/// How many panics the metrics tell of.
fn told(metrics: &ScorerMetrics) -> String {
    let mut registry = Registry::default();
    let replica = Replica::new(IndexLimits::default(), FollowSettings::default());
    metrics.register(&mut registry, replica);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("kvatlas_scorer_panics_total "));
    line.unwrap().to_owned()
}

/// Panics where the model is so called; waits where it is called otherwise.
struct Faulty {
    asked: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[tonic::async_trait]
impl Scorer for Faulty {
    async fn score(
        &self,
        request: tonic::Request<ScoreRequest>,
    ) -> Result<tonic::Response<ScoreResponse>, Status> {
        match request.get_ref().model.as_str() {
            "panic" => panic!("{SECRET}"),
            "wait" => {
                self.asked.notify_one();
                self.go_on.notified().await;
            }
            _ => {}
        }
        Ok(tonic::Response::new(ScoreResponse::default()))
    }

    type ScoreStreamStream = futures::stream::Empty<Result<ScoreResponse, Status>>;

    async fn score_stream(
        &self,
        _: tonic::Request<Streaming<ScoreRequest>>,
    ) -> Result<tonic::Response<Self::ScoreStreamStream>, Status> {
        Err(Status::unimplemented("not asked"))
    }
}

async fn ask(channel: &Channel, model: &str) -> Result<(), Status> {
    let request = ScoreRequest {
        model: model.to_owned(),
        ..ScoreRequest::default()
    };
    let answer = ScorerClient::new(channel.clone()).score(request).await;
    answer.map(|_| ())
}

#[tokio::test]
async fn over_grpc_one_caller_hears_internal_and_the_others_their_answers() {
    let metrics = ScorerMetrics::default();
    let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let faulty = Faulty {
        asked: Arc::clone(&asked),
        go_on: Arc::clone(&go_on),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let served = Server::builder()
        .layer(CatchPanics::new(&metrics, crate::grpc::failed))
        .add_service(ScorerServer::new(faulty))
        .serve_with_incoming(TcpIncoming::from(listener));
    let answering = Answering::new().unwrap();
    let server = tokio::spawn(async move { answering.run(served).await });
    let channel = Endpoint::from_shared(uri).unwrap().connect().await.unwrap();
    // A question of the same connection is under way meanwhile.
    let waiting = tokio::spawn({
        let channel = channel.clone();
        async move { ask(&channel, "wait").await }
    });
    asked.notified().await;
    // More panics than there are threads that answer.
    for panics in 1..=64 {
        let status = ask(&channel, "panic").await.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{status}");
        assert!(status.message().contains("fault of the scorer"), "{status}");
        assert!(!status.message().contains(SECRET), "{status}");
        assert_eq!(told(&metrics), panics.to_string());
    }
    assert!(ask(&channel, "any").await.is_ok());
    go_on.notify_one();
    assert!(waiting.await.unwrap().is_ok());
    assert_eq!(told(&metrics), "64");
    assert!(!server.is_finished());
}

#[tokio::test]
async fn over_http_it_is_a_failure_like_others() {
    let metrics = ScorerMetrics::default();
    let router: Router = Router::new()
        .route("/panic", get(async || -> () { panic!("{SECRET}") }))
        .route("/any", get(async || "answer"))
        .layer(CatchPanics::new(&metrics, crate::http::failed));
    for (path, status) in [
        ("/panic", StatusCode::INTERNAL_SERVER_ERROR),
        ("/any", StatusCode::OK),
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        let body = to_bytes(response.into_body(), 1 << 10).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(!body.contains(SECRET), "{body}");
        if path == "/panic" {
            assert!(body.contains("\"code\":\"internal\""), "{body}");
        }
    }
    assert_eq!(told(&metrics), "1");
}

#[tokio::test]
async fn of_a_stream_one_question_fails() {
    let metrics = ScorerMetrics::default();
    let question = |number: u32| {
        let metrics = metrics.clone();
        async move {
            let work = async move {
                if number == 1 {
                    panic!("{SECRET}")
                } else {
                    number
                }
            };
            caught(&metrics, work).await.map_err(|failure| failure.kind)
        }
    };
    let answers = futures::future::join_all((0..3).map(question)).await;
    assert_eq!(answers, [Ok(0), Err(FailureKind::Internal), Ok(2)]);
    assert_eq!(told(&metrics), "1");
}
