//! Appending as the seam asks for it.

use std::time::Duration;

use proto_model::Batch;

use crate::seam::{AppendError, Appended, IndexWriter};

/// Attempts after which a store is taken never to recover.
const ATTEMPTS_MAX: usize = 600;

/// Between attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// Appends, and where the outcome is unknown appends the same again.
pub(super) async fn append(store: &impl IndexWriter, batch: &Batch) -> Appended {
    for _ in 0..ATTEMPTS_MAX {
        match store.append(batch).await {
            Ok(appended) => return appended,
            Err(AppendError::Unavailable { .. } | AppendError::NotLeader { .. }) => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => panic!("refused for good: {error}"),
        }
    }
    panic!("the store takes nothing after {ATTEMPTS_MAX} attempts")
}
