//! `kvatlas standalone`: all roles in one process, on the embedded store.
//!
//! ```text
//!  engines ─▶ ingestor ─▶ embedded store ─▶ replica ─▶ scorer ─▶ gRPC, HTTP
//! ```
//! The roles meet at the same seams as they would across processes.

mod admin_routes;
mod ingest_role;
mod listeners;
mod parts;
mod retire;

use std::process::ExitCode;

use anyhow::{Context, Result};
use proto_model::Revision;
use services_runtime::drain::{Roles, ServeError, cancel_on_signal};
use services_runtime::metrics::Build;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::parts::Parts;
use crate::cli::StandaloneArgs;
use crate::config::{self, Config};

const BUILD: Build = Build {
    name: "kvatlas",
    version: env!("CARGO_PKG_VERSION"),
};

/// A running standalone.
pub(crate) struct Standalone {
    events: String,
    grpc_url: String,
    http_url: String,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
}

/// Runs until a signal or a role's failure.
pub(crate) async fn run(args: StandaloneArgs) -> Result<ExitCode> {
    let config = config::load(&args.source, config::flags(&args)?)?;
    let telemetry = services_runtime::telemetry::init(&config.telemetry, BUILD)?;
    let stop = CancellationToken::new();
    cancel_on_signal(stop.clone())?;
    let standalone = Standalone::start_until(&config, stop).await?;
    tracing::info!(
        events = standalone.events,
        grpc = standalone.grpc_url,
        http = standalone.http_url,
        "standalone is up"
    );
    let served = standalone.serving.await.context("roles")?;
    telemetry.shutdown().await;
    match served {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            let code = error.exit_code();
            tracing::error!(
                error = format!("{:#}", anyhow::Error::from(error)),
                "stopped"
            );
            Ok(ExitCode::from(code))
        }
    }
}

impl Standalone {
    /// Starts with the given configuration; on return every port is bound and
    /// questions are answered.
    pub(crate) async fn start(config: &Config) -> Result<Self> {
        Self::start_until(config, CancellationToken::new()).await
    }

    async fn start_until(config: &Config, stop: CancellationToken) -> Result<Self> {
        let parts = Parts::build(config, BUILD, &stop).await?;
        let (events, grpc_url, http_url) = parts.addresses()?;
        let mut roles = Roles::new(stop.clone());
        let replica = parts.replica();
        parts.spawn(config, &mut roles);
        // Nobody should be told of an address that answers "not ready yet".
        stop.run_until_cancelled(replica.reached(Revision(0))).await;
        let grace = config.drain_timeout.duration();
        let serving = tokio::spawn(roles.serve(grace));
        Ok(Self {
            events,
            grpc_url,
            http_url,
            stop,
            serving,
        })
    }

    /// Where engines connect, as `tcp://ip:port`; empty if nothing is bound.
    pub(crate) fn events(&self) -> &str {
        &self.events
    }

    /// The gRPC service's URL on this machine.
    pub(crate) fn grpc_url(&self) -> &str {
        &self.grpc_url
    }

    /// The HTTP service's URL on this machine.
    pub(crate) fn http_url(&self) -> &str {
        &self.http_url
    }

    /// Drains and ends.
    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.serving.await.context("roles")?.context("drain")
    }
}
