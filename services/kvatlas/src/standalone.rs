//! `kvatlas standalone`: all roles in one process, on the embedded store.
//!
//! ```text
//!  engines ─▶ ingestor ─▶ embedded store ─▶ replica ─▶ scorer ─▶ gRPC, HTTP
//! ```
//! The roles meet at the same seams as they would across processes.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use proto_model::Revision;
use services_runtime::admin::Readiness;
use services_runtime::drain::{Roles, ServeError};
use services_runtime::metrics::Metrics;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::StandaloneArgs;
use crate::config::{self, Backend, Config, Role};
use crate::roles::backend::OpenStore;
use crate::roles::ingestor::IngestorRole;
use crate::roles::scorer::{Followed, ScorerRole};
use crate::roles::{self, BUILD, Up};
use crate::wiring;

/// A running standalone.
pub(crate) struct Standalone {
    addresses: Addresses,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
}

/// Where it is reached on this machine.
struct Addresses {
    events: String,
    grpc_url: String,
    http_url: String,
}

/// Runs until a signal or a role's failure.
pub(crate) async fn run(args: StandaloneArgs) -> Result<ExitCode> {
    let config = config::load(&args.source, args.settings()?, Some(Role::Standalone))?;
    roles::run(config, |config, stop| async move {
        let (roles, at) = start(&config, stop).await?;
        tracing::info!(
            events = at.events,
            grpc = at.grpc_url,
            http = at.http_url,
            "standalone is up"
        );
        Ok(Up { roles })
    })
    .await
}

/// Starts everything; on return every port is bound and questions are answered.
async fn start(config: &Config, stop: CancellationToken) -> Result<(Roles, Addresses)> {
    let ingest = wiring::ingest(config)?;
    let metrics = Metrics::new(BUILD);
    let readiness = Readiness::until(&stop);
    let ingestor_gate = readiness.gate("ingestor");
    let source = config.store.source();
    let store = match source.backend {
        Backend::Embedded => OpenStore::embedded(config).await?,
        Backend::Raft | Backend::Redis => OpenStore::remote(&source, &metrics).await?,
    };
    let followed = Followed {
        cluster: None,
        watch: Arc::clone(&store.watch),
    };
    let scorer = ScorerRole::build(config, vec![followed], &metrics, &readiness).await?;
    let replica = Arc::clone(scorer.replicas().first());
    let known = store.is_own().then(|| Arc::clone(&replica));
    let ingestor = IngestorRole::start(ingest, store, known, &metrics, ingestor_gate).await?;
    let events = ingestor.events();
    let (grpc_url, http_url) = scorer.urls()?;
    let mut roles = Roles::new(stop.clone());
    scorer.spawn(&mut roles, metrics, readiness, ingestor.routes());
    ingestor.spawn(config, &mut roles);
    // Nobody should be told of an address that answers "not ready yet".
    stop.run_until_cancelled(replica.reached(Revision(0))).await;
    let addresses = Addresses {
        events,
        grpc_url,
        http_url,
    };
    Ok((roles, addresses))
}

impl Standalone {
    /// Starts with the given configuration; on return every port is bound and
    /// questions are answered.
    pub(crate) async fn start(config: &Config) -> Result<Self> {
        let stop = CancellationToken::new();
        let (roles, addresses) = start(config, stop.clone()).await?;
        let grace = config.drain_timeout.duration();
        Ok(Self {
            addresses,
            stop,
            serving: tokio::spawn(roles.serve(grace)),
        })
    }

    /// Where engines connect, as `tcp://ip:port`; empty if nothing is bound.
    pub(crate) fn events(&self) -> &str {
        &self.addresses.events
    }

    /// The gRPC service's URL on this machine.
    pub(crate) fn grpc_url(&self) -> &str {
        &self.addresses.grpc_url
    }

    /// The HTTP service's URL on this machine.
    pub(crate) fn http_url(&self) -> &str {
        &self.addresses.http_url
    }

    /// Drains and ends.
    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.serving.await.context("roles")?.context("drain")
    }
}
