//! The scorer as a role: a replica of each store, gRPC and HTTP.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::Router;
use indexer_store::{IndexWatch, IndexWriter};
use scorer_index::IndexLimits;
use scorer_prompt::ModelLibrary;
use scorer_server::{
    Answering, FollowSettings, InstanceNames, ModelCatalog, Prompts, Replica, Replicas,
    RouteWriting, Routes, Scorer, ScorerMetrics, Scoring,
};
use services_runtime::admin::{self, Readiness, ReadyGate};
use services_runtime::drain::Roles;
use services_runtime::metrics::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::backend::OpenStore;
use super::process::BUILD;
use super::{Lifetime, Up, local_address};
use crate::cli::ScorerArgs;
use crate::config::{self, Config, Role, SourceSection};
use crate::wiring;

/// How often readiness is looked at.
const READINESS_TICK: Duration = Duration::from_millis(100);

/// `kvatlas scorer`: runs until a signal or a failure.
pub(crate) async fn run(args: ScorerArgs) -> Result<std::process::ExitCode> {
    let config = config::load(&args.source, args.settings()?, Some(Role::Scorer))?;
    super::run(config, |config, draining| async move {
        start(&config, draining).await
    })
    .await
}

async fn start(config: &Config, draining: CancellationToken) -> Result<Up> {
    let life = Lifetime::new(draining);
    let metrics = Metrics::new(BUILD);
    let readiness = Readiness::until(&life.draining);
    let mut stores = Vec::new();
    for source in sources(config) {
        let store = OpenStore::remote(&source, &metrics).await?;
        stores.push(Followed {
            cluster: source.cluster,
            watch: store.watch,
            writer: store.writer,
        });
    }
    let role = ScorerRole::build(config, stores, &metrics, &readiness).await?;
    let (grpc, http) = role.urls()?;
    let mut roles = Roles::new(life.stop.clone());
    let scorer = Arc::clone(&role.scorer);
    let delay = config.scorer.drain_delay.duration();
    role.spawn(&mut roles, metrics, readiness, Router::new());
    life.spawn_between(async move {
        scorer.turn_away();
        tracing::info!(?delay, "not ready; still answering");
        tokio::time::sleep(delay).await;
    });
    tracing::info!(grpc, http, "scorer is up");
    Ok(Up { roles })
}

/// The stores to follow: a list, or the one of section `store`.
fn sources(config: &Config) -> Vec<SourceSection> {
    if config.scorer.stores.is_empty() {
        vec![config.store.source()]
    } else {
        config.scorer.stores.clone()
    }
}

/// A store that is followed.
pub(crate) struct Followed {
    /// The cluster that its endpoints are listed under; none: as they are named.
    pub(crate) cluster: Option<String>,
    /// Where its index comes from.
    pub(crate) watch: Arc<dyn IndexWatch>,
    /// Where routes go.
    pub(crate) writer: Arc<dyn IndexWriter>,
}

/// A scorer whose ports are bound.
pub(crate) struct ScorerRole {
    scorer: Arc<Scorer>,
    replicas: Replicas,
    watches: Vec<Arc<dyn IndexWatch>>,
    /// One per store, in the same order.
    gates: Vec<ReadyGate>,
    instances: InstanceNames,
    /// Threads of gRPC and HTTP.
    answering: Answering,
    routes: Arc<Routes>,
    /// What records routes; none where they are refused.
    writing: Option<RouteWriting>,
    grpc: TcpListener,
    http: TcpListener,
}

impl ScorerRole {
    /// Checks the configuration to the end, and binds the ports.
    pub(crate) async fn build(
        config: &Config,
        stores: Vec<Followed>,
        metrics: &Metrics,
        readiness: &Readiness,
    ) -> Result<Self> {
        let max_bytes = config.scorer.index_memory.as_usize();
        let labels: Vec<_> = stores.iter().map(|store| store.cluster.clone()).collect();
        let limits = IndexLimits { max_bytes };
        let replicas = Replicas::new(&labels, limits, FollowSettings::default())?;
        let gates = replicas.iter().map(|replica| match replicas.are_several() {
            true => readiness.gate(format!("replica of {}", replica.name())),
            false => readiness.gate("replica"),
        });
        let gates = gates.collect();
        let scoring = scoring(config, &replicas)?;
        let instances = wiring::instances(&config.scorer)?;
        let scorer_metrics = ScorerMetrics::default();
        metrics.register(|registry| {
            scorer_metrics.register(registry, replicas.clone());
            scoring.register(registry);
        });
        let limits = wiring::scorer_limits(&config.scorer);
        let scorer = Scorer::new(scoring, limits, scorer_metrics);
        let (watches, writers): (Vec<_>, Vec<_>) = stores
            .into_iter()
            .map(|store| (store.watch, store.writer))
            .unzip();
        let (routes, writing) = match config.scorer.accept_routes {
            true => {
                let (routes, writing) = Routes::new(&scorer, config.cluster.clone(), writers);
                (routes, Some(writing))
            }
            false => (Routes::refusing(&scorer), None),
        };
        Ok(Self {
            scorer,
            replicas,
            watches,
            routes,
            writing,
            gates,
            instances,
            answering: Answering::new().context("start threads that answer")?,
            grpc: config.scorer.grpc.bind().await?,
            http: config.scorer.http.bind().await?,
        })
    }

    /// The URLs of gRPC and HTTP on this machine.
    pub(crate) fn urls(&self) -> Result<(String, String)> {
        Ok((
            format!("http://{}", local_address(&self.grpc, "gRPC")?),
            format!("http://{}", local_address(&self.http, "HTTP")?),
        ))
    }

    /// The indexes that questions are answered from.
    pub(crate) fn replicas(&self) -> &Replicas {
        &self.replicas
    }

    /// Starts following and serving; `more` is answered on the HTTP port too.
    pub(crate) fn spawn(
        self,
        roles: &mut Roles,
        metrics: Metrics,
        readiness: Readiness,
        more: Router,
    ) {
        let stop = roles.stop();
        let followed = self.replicas.iter().zip(&self.watches).zip(self.gates);
        for ((replica, watch), gate) in followed {
            let follow = Arc::clone(replica).follow(Arc::clone(watch), stop.clone());
            roles.spawn(format!("replica of {}", replica.name()), async move {
                follow.await;
                Ok::<_, std::convert::Infallible>(())
            });
            let name = format!("readiness of {}", replica.name());
            roles.spawn(name, keep(gate, Arc::clone(replica), stop.clone()));
        }
        if let Some(writing) = self.writing {
            let stop = stop.clone();
            roles.spawn("routes", async move {
                writing.run(stop).await;
                Ok::<_, std::convert::Infallible>(())
            });
        }
        let answering = Arc::new(self.answering);
        let grpc = scorer_server::serve_grpc(
            self.grpc,
            Arc::clone(&self.scorer),
            self.watches,
            self.routes,
            Default::default(),
            stop.clone(),
        );
        let threads = Arc::clone(&answering);
        roles.spawn("gRPC", async move { threads.run(grpc).await });
        let router = scorer_server::http_routes(self.scorer, self.instances)
            .merge(admin::router(metrics, readiness))
            .merge(more);
        let http = services_runtime::http::serve(self.http, router, Default::default(), stop);
        roles.spawn("HTTP", async move { answering.run(http).await });
    }
}

/// Everything that answers, on the given replicas.
fn scoring(config: &Config, replicas: &Replicas) -> Result<Scoring> {
    let models = wiring::models(config)?;
    let library = models.with_sources(wiring::library(&config.hub, &config.scorer)?);
    let catalog = ModelCatalog::new(models).map_err(|mistakes| {
        let list: Vec<_> = mistakes
            .iter()
            .map(|mistake| format!("\n  models: {mistake}"))
            .collect();
        anyhow!(
            "{} mistakes in the configuration{}",
            list.len(),
            list.concat()
        )
    })?;
    let weights = wiring::weights(&config.scorer)?;
    let prompts = Prompts::new(
        Arc::new(ModelLibrary::new(library)),
        wiring::request_limits(&config.scorer),
    );
    let scoring = Scoring::new(replicas.clone(), Arc::new(catalog), prompts, weights);
    Ok(scoring.with_key_cache(config.scorer.key_cache.as_usize()))
}

/// Keeps a store's condition up to date until the end. Once loaded, it holds: a
/// store that goes away makes answers old, which they say, and not wrong.
async fn keep(
    gate: ReadyGate,
    replica: Arc<Replica>,
    stop: CancellationToken,
) -> Result<(), std::convert::Infallible> {
    let mut tick = tokio::time::interval(READINESS_TICK);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        if !replica.is_complete() {
            gate.not_ready("its first snapshot is not complete");
        } else if !replica.is_followed() {
            gate.not_ready("it is followed no longer");
        } else {
            gate.ready();
        }
    }
    Ok(())
}
