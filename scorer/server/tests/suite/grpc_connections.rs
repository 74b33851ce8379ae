//! Connections that do not do their part.

use std::sync::Arc;
use std::time::Duration;

use crate::common::World;
use futures::future::join_all;
use proto_api::v1::scorer_client::ScorerClient;
use proto_api::v1::{ScoreRequest, ScoreResponse};
use scorer_server::{GrpcError, GrpcSettings, ModelsConfig, Routes, ScorerLimits, serve_grpc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;

/// Far longer than any test: what ends before has ended for another reason.
const NEVER: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(20);
/// After this something is taken to hang. Never waited for when all is well.
const PATIENCE: Duration = Duration::from_secs(90);

/// The preface and an empty SETTINGS frame.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The server's answer to it: SETTINGS with the flag ACK.
const HEARD: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";

struct Served {
    world: World,
    address: std::net::SocketAddr,
    task: JoinHandle<Result<(), GrpcError>>,
}

async fn serve(deadline: Duration, settings: GrpcSettings) -> Served {
    let limits = ScorerLimits {
        in_flight: 1,
        deadline,
        ..ScorerLimits::default()
    };
    let world = World::with(ModelsConfig::default(), limits).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (scorer, store) = (Arc::clone(&world.scorer), Arc::clone(&world.store));
    let (routes, stop) = (Routes::refusing(&scorer), world.stop.clone());
    let task = tokio::spawn(serve_grpc(
        listener,
        scorer,
        vec![store as _],
        routes,
        settings,
        stop,
    ));
    Served {
        world,
        address,
        task,
    }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("listens")
    }

    async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address));
        endpoint.expect("valid").connect().await.expect("listens")
    }

    /// A connection on which both sides have said hello.
    async fn open(&self) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(HELLO).await.expect("sent");
        let mut seen = Vec::new();
        while !seen.windows(HEARD.len()).any(|part| part == HEARD) {
            assert_ne!(stream.read_buf(&mut seen).await.expect("read"), 0);
        }
        stream
    }
}

const PATIENT: GrpcSettings = GrpcSettings {
    per_connection: 8,
    keepalive: NEVER,
    preface: NEVER,
    arrival: NEVER,
    last_answers: NEVER,
};

#[tokio::test]
async fn a_connection_without_a_preface_does_not_delay_the_end() {
    let served = serve(NEVER, PATIENT).await;
    let silent = [served.connect().await, served.connect().await];
    // The listener accepts in order: those before have been accepted too.
    drop(served.open().await);
    served.world.stop.cancel();
    ends(served.task)
        .await
        .expect("no panic")
        .expect("ended well");
    drop(silent);
}

#[tokio::test]
async fn a_connection_without_a_preface_is_closed() {
    let settings = GrpcSettings {
        preface: SHORT,
        ..PATIENT
    };
    let served = serve(NEVER, settings).await;
    let mut silent = served.connect().await;
    let mut seen = Vec::new();
    // Whether it ends in order or by a reset: it ends.
    let _ = ends(silent.read_to_end(&mut seen)).await;
    served.open().await;
}

#[tokio::test]
async fn a_client_that_never_answers_is_closed_after_the_last_answers() {
    let settings = GrpcSettings {
        last_answers: SHORT,
        ..PATIENT
    };
    let served = serve(SHORT, settings).await;
    let deaf = served.open().await;
    served.world.stop.cancel();
    ends(served.task)
        .await
        .expect("no panic")
        .expect("ended well");
    drop(deaf);
}

async fn ends<T>(work: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(PATIENCE, work).await;
    ended.expect("it ends")
}

/// Messages that may be read at a time: twice the queries in flight.
const PLACES: usize = 2;

/// Begins a query, and never sends its message.
async fn unfinished(channel: Channel) -> Result<(), Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.expect("connected");
    let nothing = Request::new(futures::stream::pending::<ScoreRequest>());
    let path = PathAndQuery::from_static("/kvatlas.v1.Scorer/Score");
    let codec = ProstCodec::<ScoreRequest, ScoreResponse>::default();
    client
        .client_streaming(nothing, path, codec)
        .await
        .map(|_| ())
}

#[tokio::test]
async fn messages_that_never_arrive_give_their_places_back() {
    let settings = GrpcSettings {
        arrival: SHORT,
        ..PATIENT
    };
    let served = serve(SHORT, settings).await;
    let channel = served.channel().await;
    let calls = (0..3 * PLACES).map(|_| unfinished(channel.clone()));
    for ended in ends(join_all(calls)).await {
        let status = ended.expect_err("nothing was asked");
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        assert!(status.message().contains("40 ms"), "{status:?}");
    }
    let mut client = ScorerClient::new(channel);
    let asked = ends(client.score(ScoreRequest::default())).await;
    let status = asked.expect_err("an empty query");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
}

#[tokio::test]
async fn health_does_not_wait_behind_messages_that_never_arrive() {
    let served = serve(NEVER, PATIENT).await;
    let channel = served.channel().await;
    let calls: Vec<_> = (0..PLACES)
        .map(|_| tokio::spawn(unfinished(channel.clone())))
        .collect();
    // Once both places are taken queries are not answered.
    let mut client = ScorerClient::new(channel.clone());
    let mut query = async || {
        let asked = client.score(ScoreRequest::default());
        tokio::time::timeout(Duration::from_millis(200), asked).await
    };
    while query().await.is_ok() {}
    let mut client = HealthClient::new(channel);
    let asked = ends(client.check(HealthCheckRequest::default())).await;
    asked.expect("answered");
    calls.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn who_asks_for_health_may_not_send_much() {
    let served = serve(NEVER, PATIENT).await;
    let mut client = HealthClient::new(served.channel().await);
    let service = "x".repeat(5 << 10);
    let asked = ends(client.check(HealthCheckRequest { service })).await;
    let status = asked.expect_err("too long");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
}
