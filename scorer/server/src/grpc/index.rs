//! `kvatlas.v1.Index`.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use indexer_store::{IndexWatch, WatchError, WatchItem};
use proto_api::v1::index_server::Index;
use proto_api::v1::watch_response::Item;
use proto_api::v1::{
    Changes, Delta, Heartbeat, ListEndpointsRequest, ListEndpointsResponse, SnapshotBegin,
    SnapshotEnd, SnapshotPiece, StatsRequest, StatsResponse, WatchRequest, WatchResponse,
};
use proto_api::{Failure, FailureKind};
use proto_model::Revision;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::listing::{self, EndpointFilter};
use crate::scorer::Scorer;

/// The service. Watches pass through to the store that the replica follows.
#[derive(Clone)]
pub(super) struct IndexService {
    scorer: Arc<Scorer>,
    store: Arc<dyn IndexWatch>,
    stop: CancellationToken,
}

impl IndexService {
    pub(super) fn new(
        scorer: Arc<Scorer>,
        store: Arc<dyn IndexWatch>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            scorer,
            store,
            stop,
        }
    }
}

#[tonic::async_trait]
impl Index for IndexService {
    async fn list_endpoints(
        &self,
        request: Request<ListEndpointsRequest>,
    ) -> Result<Response<ListEndpointsResponse>, Status> {
        let request = request.into_inner();
        let filter = EndpointFilter {
            model: request.model,
            cluster: request.cluster,
            page_size: request.page_size as usize,
            page_token: request.page_token,
        };
        let page = listing::endpoints(self.scorer.scoring(), &filter)?;
        Ok(Response::new(ListEndpointsResponse {
            endpoints: page.endpoints.iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
            revision: page.revision.0,
            age_ms: page.age_ms,
        }))
    }

    async fn stats(&self, _: Request<StatsRequest>) -> Result<Response<StatsResponse>, Status> {
        Ok(Response::new(
            (&listing::stats(self.scorer.scoring())).into(),
        ))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let place = self.scorer.open_stream().map_err(Failure::from)?;
        let items = self.store.watch(request.into_inner().after.map(Revision));
        let responses = items.map(move |item| {
            // Held here, the place is free again when the stream is.
            let _ = &place;
            item.map(response).map_err(|error| failure(&error).into())
        });
        // A watch has no end of its own that a shutdown could wait for.
        let stopped = self.stop.clone().cancelled_owned();
        Ok(Response::new(Box::pin(responses.take_until(stopped))))
    }
}

fn response(item: WatchItem) -> WatchResponse {
    let wire = |deltas: &[proto_model::Delta]| deltas.iter().map(Delta::from).collect();
    let item = match item {
        WatchItem::SnapshotBegin => Item::SnapshotBegin(SnapshotBegin {}),
        WatchItem::Snapshot(deltas) => Item::Snapshot(SnapshotPiece {
            deltas: wire(&deltas),
        }),
        WatchItem::SnapshotEnd(revision) => Item::SnapshotEnd(SnapshotEnd {
            revision: revision.0,
        }),
        WatchItem::Deltas {
            revision,
            applied_at_ms,
            deltas,
        } => Item::Changes(Changes {
            revision: revision.0,
            applied_at_ms,
            deltas: wire(&deltas),
            more: false,
        }),
        WatchItem::Heartbeat { revision, at_ms } => Item::Heartbeat(Heartbeat {
            revision: revision.0,
            at_ms,
        }),
    };
    WatchResponse { item: Some(item) }
}

/// A watch that ended; the caller watches again from where it stands.
fn failure(error: &WatchError) -> Failure {
    Failure::new(FailureKind::Unavailable, error.to_string())
}
