//! Tells scorers where requests went. Nobody waits for it: a record that is lost
//! costs a little accuracy for its lifetime, and is counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proto_api::v1;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Shared;

/// How long a record without a lifetime of its own is tried.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(1);

/// The first pause between two attempts; doubled each time, to [`ATTEMPT`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// A record that waits.
pub(super) struct Waiting {
    pub(super) request: v1::RecordRouteRequest,
    pub(super) since: Instant,
}

/// Sends what the queue holds, until `stop`; what waits then is lost.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut queue: mpsc::Receiver<Waiting>,
    in_flight: usize,
    stop: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(in_flight.max(1)));
    let tasks = TaskTracker::new();
    while let Some(Some(waiting)) = stop.run_until_cancelled(queue.recv()).await {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            break;
        };
        let shared = Arc::clone(&shared);
        let stop = stop.clone();
        tasks.spawn(async move {
            let recorded = stop.run_until_cancelled(record(&shared, waiting)).await;
            let stats = &shared.stats;
            match recorded {
                Some(true) => stats.recorded.inc(),
                Some(false) | None => stats.records_lost.inc(),
            }
            drop(permit);
        });
    }
    tasks.close();
    tasks.wait().await;
}

/// Whether a scorer took it in its lifetime.
async fn record(shared: &Shared, waiting: Waiting) -> bool {
    let lifetime = match waiting.request.lifetime_ms {
        0 => PATIENCE,
        millis => Duration::from_millis(u64::from(millis)),
    };
    let until = waiting.since + lifetime;
    let mut pause = FIRST_PAUSE;
    let mut failed = None;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        // Another one first: the last may be frozen, and each attempt takes long then.
        let other = shared.pool.choose(failed.as_slice());
        if let Some(node) = other.or_else(|| shared.pool.choose(&[])) {
            let request = waiting.request.clone();
            match node.record(request, left.min(ATTEMPT)).await {
                Ok(()) => return true,
                Err(failure) if failure.retryable() => failed = Some(node.address),
                Err(failure) => {
                    tracing::debug!(scorer = %node.address, %failure, "a route was not taken");
                    return false;
                }
            }
        }
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(ATTEMPT);
    }
}
