//! The store: both seams on one Redis.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use indexer_store::{
    AppendError, Appended, IndexWatch, IndexWriter, WatchStream, batch_weight, leaves_times,
    stamped,
};
use prometheus_client::registry::Registry;
use proto_model::{Batch, Revision, Timestamp};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::commit::Committer;
use crate::epoch::open;
use crate::error::{ConnectError, LinkError};
use crate::follow::Follower;
use crate::keys::Keys;
use crate::link::{Link, check_tls};
use crate::metrics::Metrics;
use crate::options::RedisOptions;
use crate::server;
use crate::watch::watch;

/// An index store on Redis or Valkey.
///
/// Appending needs no state here; the first watch makes this process follow the
/// stream into a state of its own, which then serves all watches.
#[derive(Debug)]
pub struct RedisStore {
    committer: Committer,
    /// Asked what time it is.
    link: Link,
    follower: Follower,
    metrics: Metrics,
    batch_bytes_max: usize,
    closed: CancellationToken,
    /// Dropping the store ends its tasks.
    _closes: DropGuard,
}

impl RedisStore {
    /// Checks the options and the server, and takes up the history under the
    /// prefix, or begins one.
    ///
    /// # Errors
    /// If the options cannot work, the server is not fit for it, or cannot be
    /// reached now.
    pub async fn connect(options: RedisOptions) -> Result<Arc<Self>, ConnectError> {
        options.validate()?;
        check_tls(&options)?;
        let options = Arc::new(options);
        let keys = Keys::new(&options.prefix);
        let link = Link::new(Arc::clone(&options), Duration::ZERO);
        server::check(&link).await?;
        let opened = open(&link, &keys, Revision(0)).await;
        let opened = opened.map_err(ConnectError::from)?;
        let closed = CancellationToken::new();
        let metrics = Metrics::default();
        metrics.opened(&opened);
        metrics.stream(opened.total, opened.checkpoint.total);
        let follower = Follower::new(Arc::clone(&options), metrics.clone(), closed.clone());
        let committer = Committer::start(
            Arc::clone(&options),
            opened,
            link.clone(),
            follower.clone(),
            metrics.clone(),
            closed.clone(),
        );
        Ok(Arc::new(Self {
            committer,
            link,
            follower,
            metrics,
            batch_bytes_max: options.batch_bytes_max,
            _closes: closed.clone().drop_guard(),
            closed,
        }))
    }

    /// Lists the store's metrics, all under `kvatlas_store_redis`.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    async fn time(&self) -> Result<Timestamp, LinkError> {
        let (seconds, micros): (u64, u64) = self.link.command(&redis::cmd("TIME")).await?;
        let micros = seconds.saturating_mul(1_000_000).saturating_add(micros);
        Ok(Timestamp(micros))
    }

    /// Takes no more batches and ends all watches. What was acknowledged is in
    /// Redis; there is nothing to wait for.
    pub fn close(&self) {
        self.closed.cancel();
    }
}

#[async_trait]
impl IndexWriter for RedisStore {
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        let (bytes, limit) = (batch_weight(batch), self.batch_bytes_max);
        if bytes > limit {
            return Err(AppendError::TooLarge { bytes, limit });
        }
        let begun = tokio::time::Instant::now();
        let appended = match leaves_times(batch) {
            true => {
                // The server's clock: the processes that append have one each.
                let now = self.time().await?;
                self.committer.append(&stamped(batch, || now)).await
            }
            false => self.committer.append(batch).await,
        };
        let seconds = begun.elapsed().as_secs_f64();
        self.metrics.append_seconds.observe(seconds);
        appended
    }
}

impl IndexWatch for RedisStore {
    fn watch(&self, after: Option<Revision>) -> WatchStream {
        watch(self.follower.clone(), after)
    }
}
