//! The suite that every store is tested with.

use std::sync::Arc;

use async_trait::async_trait;
use indexer_store::conformance::Setup;
use indexer_store::{AppendError, Appended, IndexWatch, IndexWriter, WatchStream};
use indexer_store_redis::RedisStore;
use proto_model::{Batch, Revision};

use crate::support::{Server, connect};

/// A store and what it runs on.
pub(crate) struct On<T> {
    pub(crate) store: Arc<RedisStore>,
    pub(crate) _servers: T,
}

#[async_trait]
impl<T: Send + Sync + 'static> IndexWriter for On<T> {
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        self.store.append(batch).await
    }
}

impl<T: Send + Sync + 'static> IndexWatch for On<T> {
    fn watch(&self, after: Option<Revision>) -> WatchStream {
        self.store.watch(after)
    }
}

pub(crate) fn set_up(options: &mut indexer_store_redis::RedisOptions, setup: Setup) {
    if setup == Setup::ShortHistory {
        options.history.ring_bytes = 1 << 14;
    }
    // Checkpoints come so often that every case meets some.
    options.checkpoint.stream_bytes_min = 1 << 12;
}

async fn make(setup: Setup) -> On<Server> {
    let server = Server::start().await;
    let mut options = server.options();
    set_up(&mut options, setup);
    On {
        store: connect(options).await,
        _servers: server,
    }
}

indexer_store::conformance_suite!(make);
