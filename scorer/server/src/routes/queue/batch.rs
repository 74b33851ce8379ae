//! One batch, appended as often as it takes.

use std::time::{Duration, Instant};

use indexer_store::{Appended, IndexWriter};
use proto_model::{Batch, Revision};
use tokio::sync::oneshot;

use super::{Job, Place};
use crate::metrics::RouteMetrics;
use crate::routes::error::RouteError;

/// Waited before the first new attempt; doubled for each further one.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The most that is waited between attempts.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// Somebody who waits for one command of the batch.
struct Waiting {
    until: Instant,
    done: oneshot::Sender<Result<Revision, RouteError>>,
    _place: Place,
}

/// Appends the batch, again and again while the store may still take it and
/// somebody's deadline is ahead. The same batch each time: its commands change
/// nothing when they are applied twice.
pub(super) async fn append(writer: &dyn IndexWriter, jobs: Vec<Job>, metrics: &RouteMetrics) {
    let mut commands = Vec::with_capacity(jobs.len());
    let mut waiting = Vec::with_capacity(jobs.len());
    for job in jobs {
        commands.push(job.command);
        waiting.push(Some(Waiting {
            until: job.until,
            done: job.done,
            _place: job.place,
        }));
    }
    let batch = Batch { commands };
    let mut pause = PAUSE_MIN;
    loop {
        let error = match writer.append(&batch).await {
            Ok(appended) => {
                metrics.appended("ok");
                return tell(waiting, &appended);
            }
            Err(error) => error,
        };
        metrics.appended("failed");
        let next = Instant::now() + pause;
        let last = !error.retryable();
        for place in &mut waiting {
            // Told before the caller gives up, so that it learns why.
            if let Some(late) = place.take_if(|waiting| last || waiting.until <= next) {
                let _ = late
                    .done
                    .send(Err(RouteError::StoreAway(error.to_string())));
            }
        }
        if waiting.iter().all(Option::is_none) {
            tracing::warn!(%error, "routes could not be recorded");
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whoever has gone meanwhile need not know.
fn tell(waiting: Vec<Option<Waiting>>, appended: &Appended) {
    for (place, outcome) in waiting.into_iter().zip(&appended.outcomes) {
        if let Some(waiting) = place {
            let _ = waiting.done.send(match outcome.refused {
                None => Ok(appended.revision),
                Some(refusal) => Err(refusal.into()),
            });
        }
    }
}
