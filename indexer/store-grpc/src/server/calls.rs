//! The two calls.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use indexer_store::{Appended, IndexWatch, IndexWriter};
use proto_api::v1::store_server::Store;
use proto_api::{AppendRequest, StoreFailure, v1};
use proto_model::{Batch, Revision};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::admission::{Place, draining};
use super::limits::StoreLimits;
use super::metrics::ServerMetrics;
use super::watching::Watching;
use crate::convert::append_failure;

/// A batch in memory takes less than this times its size on the wire, unless it
/// was made to take more.
const MEMORY_FACTOR: usize = 2;

pub(super) struct Calls {
    writer: Arc<dyn IndexWriter>,
    watch: Arc<dyn IndexWatch>,
    limits: StoreLimits,
    watches: Arc<Semaphore>,
    drain: CancellationToken,
    metrics: ServerMetrics,
}

impl Calls {
    pub(super) fn new(
        writer: Arc<dyn IndexWriter>,
        watch: Arc<dyn IndexWatch>,
        limits: StoreLimits,
        drain: CancellationToken,
        metrics: ServerMetrics,
    ) -> Self {
        Self {
            writer,
            watch,
            watches: Arc::new(Semaphore::new(limits.watches_max)),
            limits,
            drain,
            metrics,
        }
    }

    async fn append_batch(
        &self,
        request: &AppendRequest,
        place: Option<Place>,
    ) -> Result<Appended, StoreFailure> {
        let memory_max = self.limits.batch_bytes_max.saturating_mul(MEMORY_FACTOR);
        let batch = request.batch(memory_max)?;
        self.metrics.append_bytes.inc_by(request.len() as u64);
        let work = tokio::spawn(work(Arc::clone(&self.writer), batch, place));
        let limit = self.limits.append_deadline;
        match timeout(limit, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StoreFailure::Unavailable {
                message: "the store broke off the append".to_owned(),
            }),
            Err(_) => Err(StoreFailure::Unavailable {
                message: format!("no answer within {limit:?}; the outcome is not known"),
            }),
        }
    }
}

/// The append itself. Holds its place to the end, whoever still waits for it.
async fn work(
    writer: Arc<dyn IndexWriter>,
    batch: Batch,
    place: Option<Place>,
) -> Result<Appended, StoreFailure> {
    let appended = writer.append(&batch).await;
    drop((batch, place));
    appended.map_err(append_failure)
}

#[tonic::async_trait]
impl Store for Calls {
    async fn append(
        &self,
        mut request: Request<AppendRequest>,
    ) -> Result<Response<v1::AppendResponse>, Status> {
        let since = Instant::now();
        let place = request.extensions_mut().remove::<Place>();
        let result = self.append_batch(&request.into_inner(), place).await;
        let kind = result.as_ref().map_or_else(StoreFailure::as_str, |_| "ok");
        self.metrics.append_ended(kind);
        self.metrics
            .append_seconds
            .observe(since.elapsed().as_secs_f64());
        let appended = result?;
        let response = v1::AppendResponse::of(appended.revision, &appended.outcomes);
        Ok(Response::new(response))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        if self.drain.is_cancelled() {
            return Err(draining().into());
        }
        let Ok(place) = Arc::clone(&self.watches).try_acquire_owned() else {
            let limit = self.limits.watches_max;
            let message = format!("{limit} watches are open already; watch at another node");
            return Err(StoreFailure::Busy { message }.into());
        };
        let items = self.watch.watch(request.into_inner().after.map(Revision));
        let watching = Watching::new(
            items,
            place,
            &self.limits,
            self.drain.clone(),
            self.metrics.clone(),
        );
        Ok(Response::new(Box::pin(watching)))
    }
}
