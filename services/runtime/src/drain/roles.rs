//! The roles of one process, started together and ended together.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::time::Duration;

use thiserror::Error;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Whatever a role failed with.
pub type RoleError = Box<dyn Error + Send + Sync>;

/// The roles that run in this process.
#[derive(Debug)]
pub struct Roles {
    stop: CancellationToken,
    tasks: JoinSet<Result<(), RoleError>>,
    names: BTreeMap<Id, String>,
}

/// Why the process did not end as it should.
#[derive(Debug, Error)]
pub enum ServeError {
    /// A role failed. The others were drained.
    #[error("{role} failed")]
    Failed {
        /// The role, as named at its start.
        role: String,
        /// What it failed with.
        #[source]
        source: RoleError,
    },
    /// A role ended although nobody had asked it to. The others were drained.
    #[error("{role} ended without being asked to")]
    Ended {
        /// The role, as named at its start.
        role: String,
    },
    /// A role panicked; the log has the message. The others were drained.
    #[error("{role} panicked; the log says where")]
    Panicked {
        /// The role, as named at its start.
        role: String,
    },
    /// Roles were cut off, because they did not end in time.
    #[error("still running after the grace period of {grace:?}: {}", roles.join(", "))]
    Overdue {
        /// The roles that were cut off.
        roles: Vec<String>,
        /// How long they had.
        grace: Duration,
    },
}

impl ServeError {
    /// The exit code of the process: 1 for a failure, 3 for a drain that did
    /// not end in time. 2 is a wrong command line or configuration.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Failed { .. } | Self::Ended { .. } | Self::Panicked { .. } => 1,
            Self::Overdue { .. } => 3,
        }
    }
}

impl Roles {
    /// No roles yet. `stop` asks all of them to end.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            stop,
            tasks: JoinSet::new(),
            names: BTreeMap::new(),
        }
    }

    /// The token that asks all roles to end.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a role. It runs until the token of [`Roles::stop`] is
    /// cancelled, and then ends by itself.
    pub fn spawn<F, E>(&mut self, name: impl Into<String>, role: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<RoleError> + 'static,
    {
        let task = self
            .tasks
            .spawn(async move { role.await.map_err(Into::into) });
        self.names.insert(task.id(), name.into());
    }

    /// Waits until all roles have ended. The first that fails, or ends before
    /// it is asked to, asks the others to end. From that moment, or from the
    /// token's cancellation, they have `grace`.
    ///
    /// # Errors
    /// The first failure by the role's name, or else the roles that did not
    /// end in time.
    pub async fn serve(mut self, grace: Duration) -> Result<(), ServeError> {
        let stop = self.stop.clone();
        let mut first = match stop
            .run_until_cancelled(self.tasks.join_next_with_id())
            .await
        {
            // The last role has ended, or there never was one.
            Some(None) | None => None,
            // A role may obey sooner than this task sees the cancellation.
            Some(Some(ended)) => self.failure(ended, !stop.is_cancelled()),
        };
        stop.cancel();
        let drained = tokio::time::timeout(grace, async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                let failure = self.failure(ended, false);
                first = first.take().or(failure);
            }
        })
        .await
        .is_ok();
        if drained {
            return first.map_or(Ok(()), Err);
        }
        let roles: Vec<String> = self.names.into_values().collect();
        tracing::error!(?roles, ?grace, "cut off after the grace period");
        self.tasks.shutdown().await;
        Err(first.unwrap_or(ServeError::Overdue { roles, grace }))
    }

    fn failure(
        &mut self,
        ended: Result<(Id, Result<(), RoleError>), JoinError>,
        unasked: bool,
    ) -> Option<ServeError> {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let role = self.names.remove(&id).unwrap_or_default();
        let failure = match ended {
            Ok((_, Ok(()))) if unasked => ServeError::Ended { role },
            Ok((_, Ok(()))) => {
                tracing::debug!(role, "ended");
                return None;
            }
            Ok((_, Err(source))) => ServeError::Failed { role, source },
            Err(error) if error.is_panic() => ServeError::Panicked { role },
            Err(_) => ServeError::Ended { role },
        };
        tracing::error!(error = %failure, cause = failure.source().map(tracing::field::display));
        Some(failure)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::io;

    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    fn roles() -> Roles {
        Roles::new(CancellationToken::new())
    }

    async fn obedient(stop: CancellationToken) -> io::Result<()> {
        stop.cancelled().await;
        Ok(())
    }

    #[tokio::test]
    async fn cancelled_roles_end_well() {
        let mut roles = roles();
        roles.spawn("a", obedient(roles.stop()));
        roles.spawn("b", obedient(roles.stop()));
        roles.stop().cancel();
        roles.serve(GRACE).await.unwrap();
    }

    #[tokio::test]
    async fn the_first_failure_is_named_and_drains_the_others() {
        let mut roles = roles();
        let stop = roles.stop();
        roles.spawn("scorer", obedient(stop.clone()));
        roles.spawn("store", async { Err(io::Error::other("disk is full")) });
        let error = roles.serve(GRACE).await.unwrap_err();
        assert_eq!(error.to_string(), "store failed");
        assert_eq!(error.source().unwrap().to_string(), "disk is full");
        assert_eq!(error.exit_code(), 1);
        assert!(stop.is_cancelled());
    }

    #[tokio::test]
    async fn a_role_that_ends_unasked_or_panics_is_a_failure() {
        let mut ending = roles();
        ending.spawn("scorer", async { io::Result::Ok(()) });
        let error = ending.serve(GRACE).await.unwrap_err();
        assert_eq!(error.to_string(), "scorer ended without being asked to");

        let mut panicking = roles();
        panicking.spawn("store", async { panic!("on purpose") as io::Result<()> });
        let error = panicking.serve(GRACE).await.unwrap_err();
        assert_eq!(error.to_string(), "store panicked; the log says where");
    }

    #[tokio::test]
    async fn a_role_that_obeys_at_once_has_not_ended_unasked() {
        let mut roles = roles();
        let stop = roles.stop();
        roles.spawn("quick", async move {
            stop.cancel();
            io::Result::Ok(())
        });
        roles.serve(GRACE).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_end_in_time_is_named_and_cut_off() {
        let mut roles = roles();
        roles.spawn("quick", obedient(roles.stop()));
        roles.spawn("stuck", pending::<io::Result<()>>());
        roles.stop().cancel();
        let error = roles.serve(GRACE).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "still running after the grace period of 30s: stuck"
        );
        assert_eq!(error.exit_code(), 3);
    }
}
