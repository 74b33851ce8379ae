//! Everything a standalone consists of, built before anything is served.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use indexer_ingest::Ingestor;
use indexer_store::{DiskOptions, EmbeddedStore};
use scorer_index::IndexLimits;
use scorer_prompt::ModelLibrary;
use scorer_server::{
    FollowSettings, InstanceNames, ModelCatalog, Prompts, Replica, Scorer, ScorerMetrics, Scoring,
};
use services_runtime::admin::{Readiness, ReadyGate};
use services_runtime::drain::Roles;
use services_runtime::metrics::{Build, Metrics};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::retire::Retirement;
use super::{admin_routes, ingest_role, listeners};
use crate::config::Config;
use crate::wiring;

pub(super) struct Parts {
    store: Arc<EmbeddedStore>,
    ingestor: Ingestor,
    replica: Arc<Replica>,
    scorer: Arc<Scorer>,
    grpc: TcpListener,
    http: TcpListener,
    metrics: Metrics,
    instances: InstanceNames,
    readiness: Readiness,
    gates: Gates,
}

/// What `/readyz` waits for.
pub(super) struct Gates {
    pub(super) ingestor: ReadyGate,
    pub(super) replica: ReadyGate,
}

impl Parts {
    /// Checks the configuration to the end, opens the store, binds every port.
    pub(super) async fn build(
        config: &Config,
        build: Build,
        stop: &CancellationToken,
    ) -> Result<Self> {
        let ingest = wiring::ingest(config)?;
        let models = wiring::models(config)?;
        let library = models.with_sources(wiring::library(&config.hub)?);
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
        let instances = wiring::instances(&config.scorer)?;
        let metrics = Metrics::new(build);
        let readiness = Readiness::until(stop);
        let gates = Gates {
            ingestor: readiness.gate("ingestor"),
            replica: readiness.gate("replica"),
        };
        let store = Arc::new(open_store(config).await?);
        let max_bytes = config.scorer.index_memory.as_usize();
        let replica = Replica::new(IndexLimits { max_bytes }, FollowSettings::default());
        let prompts = Prompts::new(
            Arc::new(ModelLibrary::new(library)),
            wiring::request_limits(&config.scorer),
        );
        let scoring = Scoring::new(Arc::clone(&replica), Arc::new(catalog), prompts, weights);
        let scorer_metrics = ScorerMetrics::default();
        metrics.register(|registry| scorer_metrics.register(registry, Arc::clone(&replica)));
        let limits = wiring::scorer_limits(&config.scorer);
        let scorer = Scorer::new(scoring, limits, scorer_metrics);
        let grpc = config.scorer.grpc.bind().await?;
        let http = config.scorer.http.bind().await?;
        let ingestor = ingest_role::start(ingest, Arc::clone(&store), &metrics).await?;
        Ok(Self {
            store,
            ingestor,
            replica,
            scorer,
            grpc,
            http,
            metrics,
            instances,
            readiness,
            gates,
        })
    }

    /// Where engines connect, and the URLs of gRPC and HTTP on this machine.
    pub(super) fn addresses(&self) -> Result<(String, String, String)> {
        let local = |address: SocketAddr| {
            let port = address.port();
            let ip = address.ip();
            if ip.is_unspecified() {
                format!("127.0.0.1:{port}")
            } else {
                address.to_string()
            }
        };
        let events = self.ingestor.bound_addresses().first();
        let events = events
            .map(|address| format!("tcp://{}", local(*address)))
            .unwrap_or_default();
        let named = |listener: &TcpListener, what: &str| {
            listener
                .local_addr()
                .map(local)
                .with_context(|| format!("address of {what}"))
        };
        Ok((
            events,
            format!("http://{}", named(&self.grpc, "gRPC")?),
            format!("http://{}", named(&self.http, "HTTP")?),
        ))
    }

    /// The index that questions are answered from.
    pub(super) fn replica(&self) -> Arc<Replica> {
        Arc::clone(&self.replica)
    }

    /// Starts serving. The ingestor ends first, then the store, so that what was
    /// read is appended and what was appended is on disk.
    pub(super) fn spawn(self, config: &Config, roles: &mut Roles) {
        let stop = roles.stop();
        let admin = admin_routes::router(self.ingestor.monitor(), Arc::clone(&self.store));
        let follow = Arc::clone(&self.replica).follow(Arc::clone(&self.store) as _, stop.clone());
        roles.spawn("replica", async move {
            follow.await;
            Ok::<_, std::convert::Infallible>(())
        });
        roles.spawn(
            "gRPC",
            scorer_server::serve_grpc(
                self.grpc,
                Arc::clone(&self.scorer),
                vec![Arc::clone(&self.store) as _],
                Default::default(),
                stop.clone(),
            ),
        );
        let router =
            listeners::http_router(&self.scorer, self.instances, self.metrics, self.readiness)
                .merge(admin);
        roles.spawn(
            "HTTP",
            services_runtime::http::serve(self.http, router, Default::default(), stop.clone()),
        );
        let drain = config.drain_timeout.duration();
        roles.spawn(
            "ingestor",
            ingest_role::run(
                self.ingestor,
                self.store,
                self.replica,
                self.gates,
                Retirement::after(config.ingest.forget_after.duration()),
                drain,
                stop,
            ),
        );
    }
}

async fn open_store(config: &Config) -> Result<EmbeddedStore> {
    let options = wiring::store(config);
    let Some(directory) = config.store.data.clone() else {
        return Ok(EmbeddedStore::in_memory(options));
    };
    let opened = tokio::task::spawn_blocking(move || {
        EmbeddedStore::open(&directory, options, DiskOptions::default())
    });
    opened
        .await
        .context("opening the store")?
        .context("store.data")
}
