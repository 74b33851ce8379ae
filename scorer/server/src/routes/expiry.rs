//! Says when routes expire: the replicated state has no clock.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use indexer_store::IndexWriter;
use proto_model::{Batch, Command, RouteRecorded};
use tokio::time::{sleep, timeout};

use crate::metrics::RouteMetrics;
use crate::replica::Replica;

/// How often expired speculative routes are dropped, about: they count for so much
/// longer.
const EVERY_MS: u64 = 1000;

/// Scorers do it at different moments, so that one of them mostly suffices.
const JITTER_MS: u64 = 500;

/// Looks after which estimates are worth a command, since they last for long, and
/// so are empty lists, which the store keeps for a while.
const EMPTY_EVERY: u32 = 60;

/// The longest that one append may take before the next look.
const APPEND_MAX: Duration = Duration::from_secs(10);

/// Until it is dropped, has the store drop what has expired. Several scorers that
/// do so do no harm.
pub(super) async fn expire(
    replica: Arc<Replica>,
    writer: Arc<dyn IndexWriter>,
    metrics: RouteMetrics,
) {
    let mut idle = 0;
    loop {
        let jitter = RandomState::new().hash_one(idle) % JITTER_MS;
        sleep(Duration::from_millis(EVERY_MS - JITTER_MS / 2 + jitter)).await;
        let routed = replica.content().routed();
        idle = if routed.speculative > 0 { 0 } else { idle + 1 };
        let due = match idle {
            0 => true,
            looks => routed.holders > 0 && looks % EMPTY_EVERY == 0,
        };
        if due {
            append(writer.as_ref(), &metrics).await;
        }
    }
}

/// What is not dropped now is dropped next time.
async fn append(writer: &dyn IndexWriter, metrics: &RouteMetrics) {
    // This process's clock may be wrong, and would speak for all.
    let until = RouteRecorded::BY_STORE;
    let commands = vec![Command::Expire { until }];
    let batch = Batch { commands };
    let result = match timeout(APPEND_MAX, writer.append(&batch)).await {
        Ok(Ok(_)) => "ok",
        Ok(Err(error)) => {
            tracing::debug!(%error, "routes could not be expired; tried again");
            "failed"
        }
        Err(_) => "late",
    };
    metrics.expired(result);
}
