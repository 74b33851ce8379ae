//! The client: a store that lives elsewhere.

mod append;
mod backoff;
mod channels;
mod connect;
mod follow;
mod leader;
mod metrics;
mod nodes;
mod options;
mod reassembly;
mod trouble;

use std::sync::Arc;

use async_trait::async_trait;
use indexer_store::{AppendError, Appended, IndexWatch, IndexWriter, WatchStream, batch_weight};
use prometheus_client::registry::Registry;
use proto_api::AppendRequest;
use proto_model::{Batch, Revision};

use channels::Channels;
use leader::Leader;
use metrics::ClientMetrics;
use nodes::Nodes;
pub use options::{OptionsError, RemoteOptions};
use trouble::Trouble;

/// A store behind gRPC, on one node or several. Clones are the same client.
///
/// - **Appends** go to the node believed to be the leader. A hint is followed,
///   also to an address that is not in the list. The same bytes are sent again,
///   there or elsewhere, until an answer or the deadline comes; duplicates are
///   dropped by the store.
/// - **Watches** may be served by any node; different clients begin at different
///   ones. When a node fails, says nothing, or is behind, the watch goes on at
///   another, from where the reader stands, and the reader does not notice. Only
///   where that needs a snapshot, or where no node serves it for
///   [`RemoteOptions::watch_patience`], does the watch end, with a retryable error.
/// - **Times** of items are translated from the node's clock to this process's:
///   an item that was longer on the way than the fastest one of the same watch is
///   dated by so much before it was read.
/// - **Never back**: nothing is delivered that lies before `after`, or before
///   what was delivered since.
///
/// No error of a watch or an append is final except a batch that is too large or
/// that the store refuses as malformed: nodes close, clusters go on.
///
/// Nothing is connected before it is used. Use within a Tokio runtime.
#[derive(Debug, Clone)]
pub struct RemoteStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: RemoteOptions,
    nodes: Nodes,
    leader: Leader,
    channels: Channels,
    metrics: ClientMetrics,
    trouble: Trouble,
}

impl RemoteStore {
    /// A client of the store at `options.addresses`.
    ///
    /// # Errors
    /// If an option is out of its range; the error names it.
    pub fn connect(options: RemoteOptions) -> Result<Self, OptionsError> {
        options.validate()?;
        let nodes = Nodes::new(options.addresses.clone());
        let leader = Leader::new(nodes.first().to_owned());
        let inner = Inner {
            options,
            nodes,
            leader,
            channels: Channels::default(),
            metrics: ClientMetrics::default(),
            trouble: Trouble::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Adds this client's metrics, named `kvatlas_store_client_*`.
    pub fn register(&self, registry: &mut Registry) {
        self.inner.metrics.register(registry);
    }
}

#[async_trait]
impl IndexWriter for RemoteStore {
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        let (bytes, limit) = (batch_weight(batch), self.inner.options.batch_bytes_max);
        if bytes > limit {
            self.inner.metrics.append_ended("too_large");
            return Err(AppendError::TooLarge { bytes, limit });
        }
        let request = AppendRequest::of(batch);
        append::append(&self.inner, request, batch.commands.len()).await
    }
}

impl IndexWatch for RemoteStore {
    fn watch(&self, after: Option<Revision>) -> WatchStream {
        follow::follow(Arc::clone(&self.inner), after)
    }
}
