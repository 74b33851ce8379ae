//! One scorer: its connection and its record.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use proto_api::v1;
use proto_api::v1::routes_client::RoutesClient;
use proto_api::v1::scorer_client::ScorerClient;
use proto_api::{Failure, FailureKind};
use rand::Rng;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::breaker::{Breaker, Trouble};

/// The largest answer: all endpoints, and a long prompt's keys.
const ANSWER_BYTES: usize = 32 << 20;

/// How long a look at a scorer that was left out may take.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// A connection without traffic is tried so often.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// One address of a scorer. Connects when it is first used.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) address: SocketAddr,
    channel: Channel,
    breaker: Mutex<Breaker>,
    in_flight: AtomicUsize,
    /// Its last answer said that it is cut off from its store.
    stale: AtomicBool,
}

/// Counts a request until it is dropped.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Node {
    pub(super) fn new(address: SocketAddr, connect_timeout: Duration) -> Result<Arc<Self>, String> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| error.to_string())?
            .connect_timeout(connect_timeout)
            .tcp_nodelay(true)
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        Ok(Arc::new(Self {
            address,
            channel: endpoint.connect_lazy(),
            breaker: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            stale: AtomicBool::new(false),
        }))
    }

    /// Whether requests may go there.
    pub(super) fn is_in(&self) -> bool {
        self.breaker().is_closed()
    }

    /// The smaller, the better to ask: fresh before stale, then the least busy.
    pub(super) fn burden(&self) -> (bool, usize) {
        (
            self.stale.load(Ordering::Relaxed),
            self.in_flight.load(Ordering::Relaxed),
        )
    }

    /// One `Score` call, bounded by `patience`.
    pub(super) async fn score(
        &self,
        request: v1::ScoreRequest,
        patience: Duration,
    ) -> Result<v1::ScoreResponse, Failure> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let _under_way = UnderWay(&self.in_flight);
        let mut client =
            ScorerClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES);
        let mut request = Request::new(request);
        // The scorer need not work on what nobody waits for any more.
        request.set_timeout(patience);
        let answer = client
            .score(request)
            .await
            .map_err(|status| failure(&status))?;
        let answer = answer.into_inner();
        self.stale.store(
            answer.state == i32::from(v1::ReplicaState::Stale),
            Ordering::Relaxed,
        );
        Ok(answer)
    }

    /// One `Record` call.
    pub(super) async fn record(
        &self,
        request: v1::RecordRouteRequest,
        patience: Duration,
    ) -> Result<(), Failure> {
        let mut request = Request::new(request);
        request.set_timeout(patience);
        let mut client = RoutesClient::new(self.channel.clone());
        let answer = tokio::time::timeout(patience, client.record(request));
        self.settle(answer.await.map(|answer| answer.map(|_| ())))
    }

    /// One `RemoveEndpoint` call.
    pub(super) async fn remove_endpoint(
        &self,
        request: v1::RemoveEndpointRequest,
        patience: Duration,
    ) -> Result<(), Failure> {
        let mut request = Request::new(request);
        request.set_timeout(patience);
        let mut client = RoutesClient::new(self.channel.clone());
        let answer = tokio::time::timeout(patience, client.remove_endpoint(request));
        self.settle(answer.await.map(|answer| answer.map(|_| ())))
    }

    fn settle<E>(&self, answer: Result<Result<(), Status>, E>) -> Result<(), Failure> {
        match answer {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => Err(failure(&status)),
            Err(_) => Err(Failure::new(
                FailureKind::DeadlineExceeded,
                format!("no answer from {}", self.address),
            )),
        }
    }

    /// It answered a question.
    pub(super) fn answered(&self) {
        self.breaker().answered();
    }

    /// Something went wrong; whether it is left out from now on.
    pub(super) fn failed(&self, trouble: Trouble) -> bool {
        let left_out = self
            .breaker()
            .failed(trouble, Instant::now(), rand::rng().random());
        if left_out {
            tracing::warn!(scorer = %self.address, ?trouble, "scorer is left out for a moment");
        }
        left_out
    }

    /// Whether it is time to look after it.
    pub(super) fn wants_probe(&self) -> bool {
        self.breaker().wants_probe(Instant::now())
    }

    /// Asks for its health, and lets it in again if it is well.
    pub(super) async fn probe(&self) {
        let mut client = HealthClient::new(self.channel.clone());
        let asked = client.check(HealthCheckRequest {
            service: "kvatlas.v1.Scorer".to_owned(),
        });
        let well = match tokio::time::timeout(PROBE_TIMEOUT, asked).await {
            Ok(Ok(answer)) => answer.into_inner().status == i32::from(ServingStatus::Serving),
            // Somebody answers, but knows no health service.
            Ok(Err(status)) => matches!(status.code(), Code::Unimplemented | Code::NotFound),
            Err(_) => false,
        };
        self.breaker()
            .probed(well, Instant::now(), rand::rng().random());
        if well {
            tracing::info!(scorer = %self.address, "scorer gets requests again");
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A status as a failure; a status that is none of ours is a fault of the peer.
///
/// Calls that this side gives up are dropped and get no status. `Cancelled` comes
/// from a deadline that has passed, which tonic 0.14 reports so on both sides, or
/// from a peer that broke the call off: either way there was no answer in time.
fn failure(status: &Status) -> Failure {
    if status.code() == Code::Cancelled {
        return Failure::new(FailureKind::DeadlineExceeded, status.message());
    }
    Failure::try_from(status)
        .unwrap_or_else(|error| Failure::new(FailureKind::Internal, error.to_string()))
}
