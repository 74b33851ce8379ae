//! Items and errors of the seams, to the wire and back.

use std::sync::Arc;

use indexer_store::{AppendError, WatchError, WatchItem};
use proto_api::v1::watch_response::Item;
use proto_api::{InvalidChange, StoreFailure, v1};
use proto_model::Delta;

/// An append that failed, as the wire tells it.
pub(crate) fn append_failure(error: AppendError) -> StoreFailure {
    match error {
        AppendError::TooLarge { bytes, limit } => StoreFailure::TooLarge {
            bytes: bytes as u64,
            limit: limit as u64,
        },
        AppendError::NotLeader { leader } => StoreFailure::NotLeader { leader },
        AppendError::Unavailable { reason } => StoreFailure::Unavailable { message: reason },
        AppendError::Closed { reason } => StoreFailure::Closed { message: reason },
    }
}

/// A watch that ended, as the wire tells it.
pub(crate) fn watch_failure(error: WatchError) -> StoreFailure {
    match error {
        WatchError::Lagged { at } => StoreFailure::Lagged { at },
        WatchError::Unavailable { reason } => StoreFailure::Unavailable { message: reason },
        WatchError::Closed { reason } => StoreFailure::Closed { message: reason },
    }
}

/// A message with one item.
pub(crate) fn response(item: Item) -> v1::WatchResponse {
    v1::WatchResponse { item: Some(item) }
}

/// An item as it is sent; `None` for changes, which are put together.
pub(crate) fn item(item: &WatchItem) -> Option<v1::WatchResponse> {
    let item = match item {
        WatchItem::SnapshotBegin => Item::SnapshotBegin(v1::SnapshotBegin {}),
        WatchItem::Snapshot(deltas) => Item::Snapshot(v1::SnapshotPiece {
            deltas: deltas.iter().map(Into::into).collect(),
        }),
        WatchItem::SnapshotEnd(revision) => Item::SnapshotEnd(v1::SnapshotEnd {
            revision: revision.0,
        }),
        WatchItem::Heartbeat { revision, at_ms } => Item::Heartbeat(v1::Heartbeat {
            revision: revision.0,
            at_ms: *at_ms,
        }),
        WatchItem::Deltas { .. } => return None,
    };
    Some(response(item))
}

/// Deltas from the wire, checked.
pub(crate) fn deltas(wire: Vec<v1::Delta>) -> Result<Arc<[Delta]>, InvalidChange> {
    wire.into_iter().map(Delta::try_from).collect()
}

/// About the size of a delta on the wire, in bytes.
pub(crate) fn weight(delta: &Delta) -> usize {
    /// More than all numbers, tags and lengths of a delta without names.
    const FIXED: usize = 64;
    let named = |publisher: &proto_model::Publisher| {
        publisher.endpoint.cluster().len() + publisher.endpoint.address().len()
    };
    FIXED
        + match delta {
            Delta::Stored { keys, .. } | Delta::Removed { keys, .. } => 8 * keys.len(),
            Delta::HolderBegan { publisher, .. } | Delta::PublisherRemoved { publisher } => {
                named(publisher)
            }
            Delta::Status(status) => named(&status.publisher) + status.model.len(),
            Delta::Space(announced) => {
                let space = &announced.space;
                let lora = space.lora.as_ref().map_or(0, String::len);
                named(&announced.publisher) + space.model.len() + lora
            }
            Delta::HolderEnded { .. } => 0,
        }
}
