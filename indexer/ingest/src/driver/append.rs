//! Appending one batch, for as long as it takes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use indexer_store::{AppendError, Appended, IndexWriter};
use proto_model::Batch;

use super::Health;
use crate::config::Backoff;
use crate::metrics::Metrics;

/// Appends the same batch again until the store says yes or never: a batch
/// whose outcome is unknown may be there already, and duplicates are harmless.
pub(super) async fn append_until_known(
    writer: Arc<dyn IndexWriter>,
    batch: Batch,
    backoff: Backoff,
    health: Arc<Health>,
    metrics: Metrics,
) -> Result<Appended, AppendError> {
    let mut failures = 0_u32;
    loop {
        match writer.append(&batch).await {
            Err(error) if error.retryable() => {
                failures = failures.saturating_add(1);
                metrics.appends.add("retried", 1);
                if failures == 1 {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "append failed; trying again");
                }
                health.retrying.store(true, Ordering::Relaxed);
                tokio::time::sleep(backoff.delay(failures)).await;
            }
            result => {
                health.retrying.store(false, Ordering::Relaxed);
                return result;
            }
        }
    }
}
