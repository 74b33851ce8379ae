//! The end of a process, in two steps: it says that it goes, then it goes.

use std::future::Future;

use tokio_util::sync::CancellationToken;

/// When a process is to turn away new work, and when its parts are to end.
#[derive(Debug, Clone)]
pub(crate) struct Lifetime {
    /// Cancelled by the signal: not ready from here on.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the parts are to end.
    pub(crate) stop: CancellationToken,
}

impl Lifetime {
    /// A life that `draining` begins to end.
    pub(crate) fn new(draining: CancellationToken) -> Self {
        Self {
            draining,
            stop: CancellationToken::new(),
        }
    }

    /// Does `between` between the steps. If a part ends by itself, the first step
    /// is taken too, and nothing is done between.
    pub(crate) fn spawn_between(&self, between: impl Future<Output = ()> + Send + 'static) {
        let Self { draining, stop } = self.clone();
        tokio::spawn(async move {
            let ended = tokio::select! {
                () = stop.cancelled() => true,
                () = draining.cancelled() => false,
            };
            if ended {
                draining.cancel();
            } else {
                let _ = stop.run_until_cancelled(between).await;
                stop.cancel();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn the_parts_end_only_after_what_lies_between() {
        let life = Lifetime::new(CancellationToken::new());
        let (done, wait) = tokio::sync::oneshot::channel::<()>();
        life.spawn_between(async {
            let _ = wait.await;
        });
        life.draining.cancel();
        tokio::task::yield_now().await;
        assert!(!life.stop.is_cancelled());
        done.send(()).unwrap();
        life.stop.cancelled().await;
    }

    #[tokio::test]
    async fn a_part_that_ends_ends_all() {
        let life = Lifetime::new(CancellationToken::new());
        life.spawn_between(pending());
        life.stop.cancel();
        life.draining.cancelled().await;
    }
}
