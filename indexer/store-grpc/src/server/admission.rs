//! Who may append now, decided before anything of the message is read.

use std::sync::Arc;

use proto_api::StoreFailure;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::limits::StoreLimits;
use super::metrics::ServerMetrics;

/// Places for appends, and a bounded line before them.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    places: Arc<Semaphore>,
    line: Arc<Semaphore>,
    drain: CancellationToken,
    metrics: ServerMetrics,
}

/// A place. Goes with the request, and from there with the append itself.
#[derive(Debug, Clone)]
pub(super) struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Admission {
    pub(super) fn new(
        limits: &StoreLimits,
        drain: CancellationToken,
        metrics: ServerMetrics,
    ) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.appends_max)),
            line: Arc::new(Semaphore::new(limits.appends_waiting_max)),
            drain,
            metrics,
        }
    }

    /// Waits for a place. The caller's deadline ends the wait by dropping it.
    pub(super) async fn enter(&self) -> Result<Place, StoreFailure> {
        let entered = self.place().await;
        if let Err(failure) = &entered {
            self.metrics.append_ended(failure.as_str());
        }
        entered
    }

    async fn place(&self) -> Result<Place, StoreFailure> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return self.unless_draining(permit);
        }
        let Ok(_waiting) = self.line.try_acquire() else {
            return Err(StoreFailure::Busy {
                message: "too many appends wait already; send fewer at a time".to_owned(),
            });
        };
        let permit = tokio::select! {
            permit = Arc::clone(&self.places).acquire_owned() => permit,
            () = self.drain.cancelled() => return Err(draining()),
        };
        permit.map_or_else(|_| Err(draining()), |permit| self.unless_draining(permit))
    }

    fn unless_draining(&self, permit: OwnedSemaphorePermit) -> Result<Place, StoreFailure> {
        if self.drain.is_cancelled() {
            return Err(draining());
        }
        Ok(Place {
            _permit: Arc::new(permit),
        })
    }
}

/// What a server that shuts down says. Not `Closed`: another node goes on.
pub(super) fn draining() -> StoreFailure {
    StoreFailure::Unavailable {
        message: "this node is shutting down; use another".to_owned(),
    }
}
