//! What surrounds the roles of a process: configuration, telemetry, signals, the
//! exit code.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use services_runtime::drain::{Roles, ServeError, cancel_on_signal};
use services_runtime::metrics::Build;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// What this binary calls itself.
pub(crate) const BUILD: Build = Build {
    name: "kvatlas",
    version: env!("CARGO_PKG_VERSION"),
};

/// A process whose ports are bound and whose parts run.
pub(crate) struct Up {
    /// Its parts.
    pub(crate) roles: Roles,
}

/// Starts with telemetry on and signals heard, and runs until a signal or a
/// part's failure.
pub(crate) async fn run<S, F>(config: Config, start: S) -> Result<ExitCode>
where
    S: FnOnce(Arc<Config>, CancellationToken) -> F,
    F: Future<Output = Result<Up>>,
{
    let telemetry = services_runtime::telemetry::init(&config.telemetry, BUILD)?;
    let draining = CancellationToken::new();
    cancel_on_signal(draining.clone())?;
    let grace = config.drain_timeout.duration();
    let up = start(Arc::new(config), draining).await?;
    let served = tokio::spawn(up.roles.serve(grace)).await.context("roles")?;
    telemetry.shutdown().await;
    Ok(exit_code(served))
}

fn exit_code(served: Result<(), ServeError>) -> ExitCode {
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            tracing::error!(
                error = format!("{:#}", anyhow::Error::from(error)),
                "stopped"
            );
            ExitCode::from(code)
        }
    }
}
