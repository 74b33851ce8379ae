//! The server: any writer and any watch as `kvatlas.v1.Store`.

mod admission;
mod calls;
mod limits;
mod metrics;
mod outgoing;
mod watching;

use std::convert::Infallible;
use std::sync::Arc;

use indexer_store::{IndexWatch, IndexWriter};
use prometheus_client::registry::Registry;
use proto_api::v1::store_server::StoreServer;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Context, Poll, Service};
use tonic::server::NamedService;

use admission::Admission;
use calls::Calls;
pub use limits::StoreLimits;
use metrics::ServerMetrics;

/// A store as a service for tonic's router. Clones are the same service.
///
/// Appends are let in one by one before their bytes are read, so that the memory
/// they take is bounded and a client that sends too much waits. An append goes on
/// when its caller has gone: the deadline ends the answer, not the work.
#[derive(Clone)]
pub struct StoreService {
    server: StoreServer<Calls>,
    admission: Admission,
    drain: CancellationToken,
    metrics: ServerMetrics,
}

impl StoreService {
    /// Serves what `writer` takes and what `watch` tells.
    #[must_use]
    pub fn new(
        writer: Arc<dyn IndexWriter>,
        watch: Arc<dyn IndexWatch>,
        limits: StoreLimits,
    ) -> Self {
        let (drain, metrics) = (CancellationToken::new(), ServerMetrics::default());
        let admission = Admission::new(&limits, drain.clone(), metrics.clone());
        let message_bytes = limits.batch_bytes_max;
        let calls = Calls::new(writer, watch, limits, drain.clone(), metrics.clone());
        let server = StoreServer::new(calls).max_decoding_message_size(message_bytes);
        Self {
            server,
            admission,
            drain,
            metrics,
        }
    }

    /// Adds this service's metrics, named `kvatlas_store_server_*`.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    /// Takes no more calls and ends all watches with `UNAVAILABLE`, so that
    /// clients go to another node. Appends under way are still answered.
    pub fn drain(&self) {
        self.drain.cancel();
    }
}

impl std::fmt::Debug for StoreService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreService")
            .field("draining", &self.drain.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl NamedService for StoreService {
    const NAME: &'static str = "kvatlas.v1.Store";
}

impl Service<Request<Body>> for StoreService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let mut server = self.server.clone();
        if request.uri().path() != "/kvatlas.v1.Store/Append" {
            return server.call(request);
        }
        let admission = self.admission.clone();
        Box::pin(async move {
            match admission.enter().await {
                Ok(place) => {
                    request.extensions_mut().insert(place);
                    server.call(request).await
                }
                Err(failure) => Ok(tonic::Status::from(failure).into_http()),
            }
        })
    }
}
