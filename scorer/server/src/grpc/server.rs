//! All services on one listener.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use indexer_store::IndexWatch;
use proto_api::llmd::indexer_service_server::IndexerServiceServer;
use proto_api::v1::index_server::IndexServer;
use proto_api::v1::routes_server::RoutesServer;
use proto_api::v1::scorer_server::ScorerServer;
use proto_api::{DESCRIPTORS, limits};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::LayerExt;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::ServiceBuilder;

use super::arrival::{InTime, places};
use super::guarded::{Bounds, Guarded};
use super::health;
use super::index::IndexService;
use super::pods::PodService;
use super::routes::RouteService;
use super::scorer::ScorerService;
use super::status;
use crate::caught::CatchPanics;
use crate::routes::Routes;
use crate::scorer::Scorer;

/// The longest piece that a request may come in: a prompt of some ten thousand
/// tokens in one. Every piece costs the connection a turn of its own, and with the
/// 16 KiB that HTTP/2 begins with most prompts take several. A connection holds at
/// most one piece that is not yet complete.
const FRAME_BYTES: u32 = 256 << 10;

/// The longest question about health or about services: names, and little else.
const NAME_BYTES: usize = 4 << 10;

/// How connections are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrpcSettings {
    /// Streams and calls open at a time on one connection.
    pub per_connection: u32,
    /// A connection silent for this long is asked whether it lives.
    pub keepalive: Duration,
    /// How long a new connection may take to say that it speaks HTTP/2.
    pub preface: Duration,
    /// How long a message may wait for a place and take to arrive. Queries get the
    /// scorer's deadline on top.
    pub arrival: Duration,
    /// After the stop, every query ends within the scorer's deadline. What is
    /// open this much later waits for its client, and is closed.
    pub last_answers: Duration,
}

impl Default for GrpcSettings {
    fn default() -> Self {
        Self {
            per_connection: 1024,
            keepalive: Duration::from_secs(30),
            preface: Duration::from_secs(10),
            arrival: Duration::from_secs(10),
            last_answers: Duration::from_secs(2),
        }
    }
}

/// Why the gRPC server ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum GrpcError {
    /// The listener or a connection broke down.
    #[error("gRPC server failed")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors of the reflection service are damaged.
    #[error("reflection descriptors cannot be read")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Not every replica has a store that its watches can be passed to.
    #[error("{stores} stores given for {replicas} replicas; give one for each, in the same order")]
    Stores {
        /// Stores given.
        stores: usize,
        /// Replicas that the scorer answers from.
        replicas: usize,
    },
}

/// Serves scorer, index, routes, llm-d, health and reflection until `stop`; then ends
/// once the calls under way are answered. Clients that do not do their part
/// delay the end by no more than the scorer's deadline and
/// [`GrpcSettings::last_answers`]. `stores` are those that the scorer's replicas
/// follow, in the same order.
pub async fn serve(
    listener: TcpListener,
    scorer: Arc<Scorer>,
    stores: Vec<Arc<dyn IndexWatch>>,
    routes: Arc<Routes>,
    settings: GrpcSettings,
    stop: CancellationToken,
) -> Result<(), GrpcError> {
    let replicas = scorer.scoring().replicas().iter().len();
    if stores.len() != replicas {
        let stores = stores.len();
        return Err(GrpcError::Stores { stores, replicas });
    }
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let reporting = health::report(reporter, Arc::clone(&scorer), stop.clone());
    let (max, route_max) = (limits::MESSAGE_BYTES, limits::ROUTE_MESSAGE_BYTES);
    let in_flight = scorer.limits().in_flight;
    let deadline = scorer.limits().deadline;
    let closing = deadline.saturating_add(settings.last_answers);
    let catch = CatchPanics::new(scorer.metrics(), super::failed);
    let scores = ScorerServer::new(ScorerService::new(Arc::clone(&scorer), stop.clone()));
    let index = IndexServer::new(IndexService::new(Arc::clone(&scorer), stores, stop.clone()));
    let routes = RoutesServer::new(RouteService::new(routes));
    let pods = IndexerServiceServer::new(PodService::new(scorer));
    // The builder's own switch does not reach a listener that is handed in.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let bounds = Bounds {
        preface: settings.preface,
        stop: stop.clone(),
        close: CancellationToken::new(),
    };
    let close_late = close_after(stop.clone(), closing, bounds.close.clone());
    let incoming = incoming.map_ok(move |tcp| Guarded::new(tcp, &bounds));
    // As on the HTTP side: messages are read before they can be refused. Who asks
    // for the scorer's health is not to wait behind them, and has little to say.
    let in_time = InTime(deadline.saturating_add(settings.arrival));
    let messages = places(in_flight.saturating_mul(2), in_time);
    let health_service = health_service.max_decoding_message_size(NAME_BYTES);
    let (described, described_before) = (reflection()?.build_v1()?, reflection()?.build_v1alpha()?);
    let served = Server::builder()
        .layer(ServiceBuilder::new().map_response(status::in_headers))
        .layer(catch)
        .concurrency_limit_per_connection(settings.per_connection as usize)
        .max_concurrent_streams(settings.per_connection)
        .http2_keepalive_interval(Some(settings.keepalive))
        .max_frame_size(FRAME_BYTES)
        .add_service(messages.named_layer(scores.max_decoding_message_size(max)))
        .add_service(messages.named_layer(index.max_decoding_message_size(max)))
        .add_service(messages.named_layer(routes.max_decoding_message_size(route_max)))
        .add_service(messages.named_layer(pods.max_decoding_message_size(max)))
        .add_service(in_time.named_layer(health_service))
        .add_service(described.max_decoding_message_size(NAME_BYTES))
        .add_service(described_before.max_decoding_message_size(NAME_BYTES))
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned());
    let beside = async {
        futures::join!(reporting, close_late);
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        served = served => Ok(served?),
        never = beside => match never {},
    }
}

/// Closes what is still open `patience` after the stop.
async fn close_after(stop: CancellationToken, patience: Duration, close: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(patience).await;
    close.cancel();
}

fn reflection() -> Result<tonic_reflection::server::Builder<'static>, GrpcError> {
    Ok(tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET))
}
