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

/// The service. Watches pass through to a store that a replica follows.
#[derive(Clone)]
pub(super) struct IndexService {
    scorer: Arc<Scorer>,
    /// In the order of the replicas.
    stores: Arc<[Arc<dyn IndexWatch>]>,
    stop: CancellationToken,
}

impl IndexService {
    pub(super) fn new(
        scorer: Arc<Scorer>,
        stores: Vec<Arc<dyn IndexWatch>>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            scorer,
            stores: stores.into(),
            stop,
        }
    }

    /// The store that a watch is about: the named one, or the only one. Histories
    /// of several stores have no common order that they could be told in.
    fn store(&self, cluster: Option<&str>) -> Result<&dyn IndexWatch, Failure> {
        let names = || {
            self.scorer
                .scoring()
                .replicas()
                .iter()
                .map(|replica| replica.name())
        };
        let refused = |kind, text: String| {
            let all = names().collect::<Vec<_>>().join(", ");
            Failure::of_field(
                kind,
                "cluster",
                format!("{text}; set cluster to one of {all}"),
            )
        };
        let place = match cluster {
            None if self.stores.len() == 1 => Some(0),
            None => {
                let text = "several stores are followed".to_owned();
                return Err(refused(FailureKind::InvalidArgument, text));
            }
            Some(name) => names().position(|of| of == name),
        };
        let store = place.and_then(|place| self.stores.get(place));
        store.map(|store| &**store).ok_or_else(|| {
            let cluster: String = cluster.unwrap_or_default().chars().take(64).collect();
            let text = format!("no store of cluster {cluster:?} is followed");
            refused(FailureKind::NotFound, text)
        })
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
            revision: page.standing.revision.0,
            age_ms: page.standing.age_ms,
            stores: page.standing.stores.iter().map(Into::into).collect(),
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
        let request = request.into_inner();
        let store = self.store(request.cluster.as_deref())?;
        let place = self.scorer.open_stream().map_err(Failure::from)?;
        let items = store.watch(request.after.map(Revision));
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
