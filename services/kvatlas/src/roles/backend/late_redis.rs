//! A Redis that may not be there yet when the process starts.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use indexer_store::{AppendError, Appended, IndexWatch, IndexWriter, WatchError, WatchStream};
use indexer_store_redis::{ConnectError, RedisOptions, RedisStore};
use parking_lot::Mutex;
use proto_model::{Batch, Revision};
use tokio_util::sync::CancellationToken;

/// Between two attempts.
const AGAIN: Duration = Duration::from_secs(1);

/// An index in Redis, unavailable until Redis has been reached once.
pub(super) struct LateRedis {
    store: OnceLock<Arc<RedisStore>>,
    /// Why it is not there.
    away: Mutex<String>,
    closed: CancellationToken,
}

impl LateRedis {
    /// Tries once, and goes on trying if Redis cannot be reached; calls `there`
    /// once it was.
    ///
    /// # Errors
    /// What trying again would not mend.
    pub(super) async fn connect(
        options: RedisOptions,
        there: impl FnOnce(&RedisStore) + Send + 'static,
    ) -> Result<Arc<Self>, ConnectError> {
        let late = Arc::new(Self {
            store: OnceLock::new(),
            away: Mutex::default(),
            closed: CancellationToken::new(),
        });
        match RedisStore::connect(options.clone()).await {
            Ok(store) => late.arrived(store, there),
            Err(error) if error.retryable() => {
                tracing::warn!(%error, "tried again until it is there");
                *late.away.lock() = error.to_string();
                tokio::spawn(Arc::clone(&late).keep_trying(options, there));
            }
            Err(error) => return Err(error),
        }
        Ok(late)
    }

    async fn keep_trying(
        self: Arc<Self>,
        options: RedisOptions,
        there: impl FnOnce(&RedisStore) + Send,
    ) {
        let trying = async {
            loop {
                tokio::time::sleep(AGAIN).await;
                match RedisStore::connect(options.clone()).await {
                    Ok(store) => return store,
                    Err(error) => *self.away.lock() = error.to_string(),
                }
            }
        };
        if let Some(store) = self.closed.run_until_cancelled(trying).await {
            tracing::info!("Redis is there");
            self.arrived(store, there);
        }
    }

    fn arrived(&self, store: Arc<RedisStore>, there: impl FnOnce(&RedisStore)) {
        there(&store);
        // Only one task ever comes here.
        let _ = self.store.set(store);
    }

    /// Ends its use.
    pub(super) fn close(&self) {
        self.closed.cancel();
        if let Some(store) = self.store.get() {
            store.close();
        }
    }
}

#[async_trait]
impl IndexWriter for LateRedis {
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        match self.store.get() {
            Some(store) => store.append(batch).await,
            None => Err(AppendError::Unavailable {
                reason: self.away.lock().clone(),
            }),
        }
    }
}

impl IndexWatch for LateRedis {
    fn watch(&self, after: Option<Revision>) -> WatchStream {
        match self.store.get() {
            Some(store) => store.watch(after),
            None => {
                let reason = self.away.lock().clone();
                futures::stream::iter([Err(WatchError::Unavailable { reason })]).boxed()
            }
        }
    }
}
