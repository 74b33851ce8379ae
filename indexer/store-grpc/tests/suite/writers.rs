//! Writers that do not do what they should.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use indexer_store::{AppendError, Appended, EmbeddedStore, IndexWriter};
use proto_model::Batch;
use tokio::sync::Semaphore;

/// Says that somebody else leads.
pub(crate) struct Follower {
    pub(crate) leader: Option<String>,
    pub(crate) asked: Arc<AtomicUsize>,
}

impl Follower {
    pub(crate) fn of(leader: Option<String>) -> (Arc<Self>, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let follower = Self {
            leader,
            asked: Arc::clone(&asked),
        };
        (Arc::new(follower), asked)
    }
}

#[async_trait]
impl IndexWriter for Follower {
    async fn append(&self, _: &Batch) -> Result<Appended, AppendError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Err(AppendError::NotLeader {
            leader: self.leader.clone(),
        })
    }
}

/// Takes the batch, and the first time says that it may not have.
pub(crate) struct Forgetful {
    pub(crate) store: Arc<EmbeddedStore>,
    pub(crate) asked: AtomicUsize,
}

#[async_trait]
impl IndexWriter for Forgetful {
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        let appended = self.store.append(batch).await?;
        if self.asked.fetch_add(1, Ordering::Relaxed) == 0 {
            let reason = "the connection broke".to_owned();
            return Err(AppendError::Unavailable { reason });
        }
        Ok(appended)
    }
}

/// Waits, with each append, for a permit.
pub(crate) struct Gated {
    pub(crate) store: Arc<EmbeddedStore>,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) entered: Arc<AtomicUsize>,
}

#[async_trait]
impl IndexWriter for Gated {
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        self.entered.fetch_add(1, Ordering::Relaxed);
        self.gate.acquire().await.expect("open").forget();
        self.store.append(batch).await
    }
}

/// Is closed, or says so.
pub(crate) struct Closed;

#[async_trait]
impl IndexWriter for Closed {
    async fn append(&self, _: &Batch) -> Result<Appended, AppendError> {
        Err(AppendError::Closed {
            reason: "the disk failed".to_owned(),
        })
    }
}
