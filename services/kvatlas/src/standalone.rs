//! `kvatlas standalone`: all roles in one process, on the embedded store.
//!
//! ```text
//!  engines ─▶ ingestor ─▶ embedded store ─▶ replica ─▶ scorer ─▶ gRPC, HTTP
//!                                                        ▲
//!                         Envoy ⇄ picker, if asked for ──┘
//! ```
//! The roles meet at the same seams as they would across processes.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

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
use crate::roles::epp::{EppAddresses, EppRole, Pool};
use crate::roles::ingestor::IngestorRole;
use crate::roles::scorer::{Followed, ScorerRole};
use crate::roles::{self, BUILD, Lifetime, Up};
use crate::wiring;

/// How long the start waits for a pool that must be asked for elsewhere.
const POOL_PATIENCE: Duration = Duration::from_secs(10);

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
    /// Where a gateway reaches the picker, if there is one.
    epp: Option<EppAddresses>,
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
            ext_proc = at.epp.as_ref().map(|epp| epp.ext_proc.as_str()),
            health = at.epp.as_ref().map(|epp| epp.health.as_str()),
            "standalone is up"
        );
        Ok(Up { roles })
    })
    .await
}

/// Starts everything; on return every port is bound and questions are answered.
async fn start(config: &Config, draining: CancellationToken) -> Result<(Roles, Addresses)> {
    let life = Lifetime::new(draining);
    let pool = match config.epp.is_used() {
        true => Some(Pool::open(&config.epp).await?),
        false => None,
    };
    let config = &with_policy(config, pool.as_ref()).await?;
    let ingest = wiring::ingest(config)?;
    let metrics = Metrics::new(BUILD);
    let readiness = Readiness::until(&life.draining);
    let ingestor_gate = readiness.gate("ingestor");
    let source = config.store.source();
    let store = match source.backend {
        Backend::Embedded => OpenStore::embedded(config).await?,
        Backend::Raft | Backend::Redis => OpenStore::remote(&source, &metrics).await?,
    };
    let followed = Followed {
        cluster: None,
        watch: Arc::clone(&store.watch),
        writer: Arc::clone(&store.writer),
    };
    let scorer = ScorerRole::build(config, vec![followed], &metrics, &readiness).await?;
    let replica = Arc::clone(scorer.replicas().first());
    let known = store.is_own().then(|| Arc::clone(&replica));
    let ingestor = IngestorRole::start(ingest, store, known, &metrics, ingestor_gate).await?;
    let events = ingestor.events();
    let (grpc_url, http_url) = scorer.urls()?;
    let epp = match pool {
        None => None,
        Some(pool) => Some(picker(config, pool, &grpc_url, &metrics, &readiness).await?),
    };
    let addresses = Addresses {
        events,
        grpc_url,
        http_url,
        epp: epp.as_ref().map(EppRole::addresses).transpose()?,
    };
    let mut roles = Roles::new(life.stop.clone());
    scorer.spawn(&mut roles, metrics, readiness, ingestor.routes());
    ingestor.spawn(config, &mut roles);
    match epp {
        // Everything goes on until the gateway's streams have ended.
        Some(epp) => epp.spawn(&mut roles, &life),
        None => life.spawn_between(std::future::ready(())),
    }
    // Nobody should be told of an address that answers "not ready yet".
    let loaded = replica.reached(Revision(0));
    life.draining.run_until_cancelled(loaded).await;
    Ok((roles, addresses))
}

/// The configuration, and the model that the pool's policy names.
async fn with_policy(config: &Config, pool: Option<&Pool>) -> Result<Config> {
    let mut config = config.clone();
    let Some(pool) = pool else {
        return Ok(config);
    };
    let view = pool.view_within(POOL_PATIENCE).await;
    if let Some(model) = wiring::policy_model::add_to(&mut config.models, &view)? {
        let engine = model.engine.as_ref();
        tracing::info!(
            model = model.name,
            aliases = ?model.aliases,
            source = model.source,
            profile = ?model.profile,
            block_size = model.block_size,
            hash_seed = engine.and_then(|engine| engine.hash_seed.as_deref()),
            "model of the traffic policy, with what is configured of it"
        );
    }
    Ok(config)
}

/// The picker, which asks the scorer of this process.
async fn picker(
    config: &Config,
    pool: Pool,
    grpc_url: &str,
    metrics: &Metrics,
    readiness: &Readiness,
) -> Result<EppRole> {
    let mut scorers = config.epp.scorers.clone();
    if scorers.is_empty() {
        let own = grpc_url.strip_prefix("http://").unwrap_or(grpc_url);
        scorers.push(own.to_owned());
    }
    let settings = config.epp.settings(config.drain_timeout.duration());
    EppRole::build(&config.epp, pool, scorers, settings, metrics, readiness).await
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
