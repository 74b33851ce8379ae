//! A scorer that answers as it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use proto_api::v1;
use proto_api::v1::routes_server::{Routes, RoutesServer};
use proto_api::v1::scorer_server::{Scorer, ScorerServer};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tonic::codegen::BoxStream;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, Streaming};

/// What it does with a question.
#[derive(Clone)]
pub(crate) enum Does {
    /// Answers this.
    Answer(Box<v1::ScoreResponse>),
    /// Refuses.
    Fail(Code),
    /// Never answers.
    Silent,
    /// Answers this when told to.
    Wait(Arc<Notify>, Box<v1::ScoreResponse>),
}

/// A running scorer; gone when dropped.
pub(crate) struct ScorerDouble {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

struct State {
    does: Does,
    records: Does,
    asked: Vec<v1::ScoreRequest>,
    recorded: Vec<v1::RecordRouteRequest>,
    removed: Vec<v1::RemoveEndpointRequest>,
    record_calls: usize,
}

impl ScorerDouble {
    pub(crate) async fn start(does: Does) -> Self {
        Self::start_at("127.0.0.1:0", does).await
    }

    pub(crate) async fn start_at(address: &str, does: Does) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            does,
            records: Does::Answer(Box::default()),
            asked: Vec::new(),
            recorded: Vec::new(),
            removed: Vec::new(),
            record_calls: 0,
        }));
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter
            .set_service_status("kvatlas.v1.Scorer", tonic_health::ServingStatus::Serving)
            .await;
        let router = tonic::transport::Server::builder()
            .add_service(health)
            .add_service(ScorerServer::new(Service(Arc::clone(&state))))
            .add_service(RoutesServer::new(Service(Arc::clone(&state))));
        let serve =
            router.serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
        let server = tokio::spawn(async move { serve.await.expect("served") });
        Self {
            address,
            state,
            server,
        }
    }

    /// From now on.
    pub(crate) fn does(&self, does: Does) {
        self.state.lock().unwrap().does = does;
    }

    /// From now on, with records.
    pub(crate) fn does_with_records(&self, does: Does) {
        self.state.lock().unwrap().records = does;
    }

    /// The questions so far.
    pub(crate) fn asked(&self) -> Vec<v1::ScoreRequest> {
        self.state.lock().unwrap().asked.clone()
    }

    /// The records it took.
    pub(crate) fn recorded(&self) -> Vec<v1::RecordRouteRequest> {
        self.state.lock().unwrap().recorded.clone()
    }

    /// Records that it was asked to take.
    pub(crate) fn record_calls(&self) -> usize {
        self.state.lock().unwrap().record_calls
    }

    /// The removals it took.
    pub(crate) fn removed(&self) -> Vec<v1::RemoveEndpointRequest> {
        self.state.lock().unwrap().removed.clone()
    }

    /// Ends it; its port is free afterwards.
    pub(crate) async fn kill(self) -> SocketAddr {
        self.server.abort();
        let address = self.address;
        crate::within("end of a scorer", async {
            // Connections end with the runtime's tasks, not with the listener.
            while TcpListener::bind(address).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        address
    }
}

impl Drop for ScorerDouble {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Service(Arc<Mutex<State>>);

async fn act(does: Does) -> Result<v1::ScoreResponse, Status> {
    match does {
        Does::Answer(answer) => Ok(*answer),
        Does::Fail(code) => Err(Status::new(code, "as told")),
        Does::Silent => std::future::pending().await,
        Does::Wait(told, answer) => {
            told.notified().await;
            Ok(*answer)
        }
    }
}

#[tonic::async_trait]
impl Scorer for Service {
    async fn score(
        &self,
        request: Request<v1::ScoreRequest>,
    ) -> Result<Response<v1::ScoreResponse>, Status> {
        let does = {
            let mut state = self.0.lock().unwrap();
            state.asked.push(request.into_inner());
            state.does.clone()
        };
        act(does).await.map(Response::new)
    }

    type ScoreStreamStream = BoxStream<v1::ScoreResponse>;

    async fn score_stream(
        &self,
        _: Request<Streaming<v1::ScoreRequest>>,
    ) -> Result<Response<Self::ScoreStreamStream>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}

#[tonic::async_trait]
impl Routes for Service {
    async fn record(
        &self,
        request: Request<v1::RecordRouteRequest>,
    ) -> Result<Response<v1::RecordRouteResponse>, Status> {
        let does = {
            let mut state = self.0.lock().unwrap();
            state.record_calls += 1;
            state.records.clone()
        };
        act(does).await?;
        self.0.lock().unwrap().recorded.push(request.into_inner());
        Ok(Response::new(v1::RecordRouteResponse::default()))
    }

    async fn remove_endpoint(
        &self,
        request: Request<v1::RemoveEndpointRequest>,
    ) -> Result<Response<v1::RemoveEndpointResponse>, Status> {
        self.0.lock().unwrap().removed.push(request.into_inner());
        Ok(Response::new(v1::RemoveEndpointResponse::default()))
    }
}
