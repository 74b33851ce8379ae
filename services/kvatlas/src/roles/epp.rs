//! The endpoint picker as a role: pool, loads, scorers, ext_proc.
//!
//! ```text
//!  manifests ─▶ pool ─┬─▶ scraper ─▶ loads ─┐
//!                     └────────────────────▶ decider ◀─ scorers
//!  Envoy ⇄ ext_proc ────────────────────────────┘
//! ```

mod departed;
mod metrics;
mod pool;

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::{Context, Result};
use router_discovery::{Loads, PoolView, Scraper};
use router_ext_proc::{
    Decider, DeciderOptions, Lifecycle, Listeners, Scorers, ScorersOptions, Settings, StreamStats,
};
use services_runtime::admin::{self, Readiness, ReadyGate};
use services_runtime::drain::Roles;
use services_runtime::metrics::Metrics;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::departed::Remover;
use self::metrics::EppCollector;
pub(crate) use self::pool::Pool;
use super::process::BUILD;
use super::{Lifetime, Up, local_address};
use crate::cli::EppArgs;
use crate::config::{self, Config, EppSection, Role};

/// Said whenever the pool turns empty: every request gets 503 from then on.
const NO_ENDPOINTS: &str = "the pool has no ready endpoint, so every request is refused with 503: \
    list endpoints (--endpoint IP:PORT, or a KVAtlasEndpoints or Pod object in the manifests), \
    or take the pool's pods from Kubernetes (--pool-name NAME without --manifests)";

/// `kvatlas epp`: runs until a signal or a failure.
pub(crate) async fn run(args: EppArgs) -> Result<std::process::ExitCode> {
    let config = config::load(&args.source, args.settings()?, Some(Role::Epp))?;
    super::run(config, |config, draining| async move {
        start(&config, draining).await
    })
    .await
}

async fn start(config: &Config, draining: CancellationToken) -> Result<Up> {
    let life = Lifetime::new(draining);
    let metrics = Metrics::new(BUILD);
    let readiness = Readiness::until(&life.draining);
    let pool = Pool::open(&config.epp).await?;
    let scorers = config.epp.scorers.clone();
    if scorers.is_empty() {
        tracing::warn!("no scorer is configured: requests are routed by load");
    }
    let settings = config.epp.settings(config.drain_timeout.duration());
    let epp = EppRole::build(&config.epp, pool, scorers, settings, &metrics, &readiness).await?;
    let http = config.epp.http.bind().await?;
    let addresses = epp.addresses()?;
    let http_url = format!("http://{}", local_address(&http, "HTTP")?);
    let mut roles = Roles::new(life.stop.clone());
    roles.spawn(
        "HTTP",
        services_runtime::http::serve(
            http,
            admin::router(metrics, readiness),
            Default::default(),
            life.stop.clone(),
        ),
    );
    epp.spawn(&mut roles, &life);
    tracing::info!(
        ext_proc = addresses.ext_proc,
        health = addresses.health,
        http = http_url,
        "epp is up"
    );
    Ok(Up { roles })
}

/// Where a picker is reached on this machine.
pub(crate) struct EppAddresses {
    /// ext_proc, for gateways.
    pub(crate) ext_proc: String,
    /// gRPC health, for probes.
    pub(crate) health: String,
}

/// A picker whose ports are bound.
pub(crate) struct EppRole {
    pool: Pool,
    scraper: Scraper,
    scorers: Arc<Scorers>,
    decider: Arc<Decider>,
    settings: Settings,
    streams: Arc<StreamStats>,
    grpc: TcpListener,
    health: TcpListener,
    gate: ReadyGate,
    cluster: Option<String>,
}

impl EppRole {
    /// Puts the parts together, and binds the ports.
    pub(crate) async fn build(
        section: &EppSection,
        pool: Pool,
        scorers: Vec<String>,
        settings: Settings,
        metrics: &Metrics,
        readiness: &Readiness,
    ) -> Result<Self> {
        settings.validate().context("epp.serve")?;
        let views = pool.discovery.views();
        let scraper =
            Scraper::new(section.scrape.settings(), views.clone()).context("epp.scrape")?;
        let loads: Arc<Loads> = scraper.loads();
        let scorers = Arc::new(Scorers::start(scorers_options(section, scorers)));
        let decider = Arc::new(Decider::new(
            views,
            Arc::clone(&loads) as _,
            Arc::clone(&scorers),
            decider_options(section),
        ));
        let streams = Arc::new(StreamStats::default());
        let collector = EppCollector {
            views: pool.discovery.views(),
            status: pool.discovery.status(),
            loads,
            scorers: Arc::clone(&scorers),
            decisions: decider.stats(),
            streams: Arc::clone(&streams),
        };
        metrics.register(|registry| registry.register_collector(Box::new(collector)));
        Ok(Self {
            grpc: section.grpc.bind().await?,
            health: section.health.bind().await?,
            gate: readiness.gate("pool"),
            cluster: section.cluster.clone(),
            pool,
            scraper,
            scorers,
            decider,
            settings,
            streams,
        })
    }

    /// Where it is reached on this machine.
    pub(crate) fn addresses(&self) -> Result<EppAddresses> {
        Ok(EppAddresses {
            ext_proc: local_address(&self.grpc, "ext_proc")?,
            health: local_address(&self.health, "health")?,
        })
    }

    /// Starts everything. From the beginning of `life`'s end on, streams are
    /// drained; when none is left, the rest of the process ends.
    pub(crate) fn spawn(self, roles: &mut Roles, life: &Lifetime) {
        let Lifetime { draining, stop } = life.clone();
        // The process ends when the streams have ended, or when a part fails.
        life.spawn_between(std::future::pending());
        let Pool {
            discovery,
            departures,
        } = self.pool;
        if let Some(departures) = departures {
            let remover = Remover {
                scorers: Arc::clone(&self.scorers),
                views: discovery.views(),
                cluster: self.cluster,
            };
            let until = stop.clone();
            roles.spawn("departures", async move {
                remover.run(departures, until).await;
                Ok::<_, Infallible>(())
            });
        }
        let (ready, readiness) = watch::channel(false);
        let (views, until) = (discovery.views(), stop.clone());
        let gate = self.gate;
        roles.spawn("readiness of the pool", async move {
            keep(&gate, &ready, views, until).await;
            // Read for as long as the process runs.
            drop(discovery);
            Ok::<_, Infallible>(())
        });
        let (scraper, until) = (self.scraper, stop.clone());
        roles.spawn("loads", async move {
            scraper.run(until).await;
            Ok::<_, Infallible>(())
        });
        let listeners = Listeners {
            ext_proc: self.grpc,
            health: Some(self.health),
        };
        let lifecycle = Lifecycle {
            readiness,
            shutdown: draining.clone(),
        };
        let serve = router_ext_proc::serve(
            listeners,
            self.decider,
            self.settings,
            self.streams,
            lifecycle,
        );
        let scorers = self.scorers;
        roles.spawn("ext_proc", async move {
            let served = serve.await;
            scorers.stop().await;
            if draining.is_cancelled() {
                stop.cancel();
            }
            served
        });
    }
}

/// Keeps probes and gateways up to date: ready once the pool has been read.
async fn keep(
    gate: &ReadyGate,
    ready: &watch::Sender<bool>,
    mut views: watch::Receiver<Arc<PoolView>>,
    stop: CancellationToken,
) {
    let mut had_none = false;
    loop {
        let (synced, none) = {
            let view = views.borrow_and_update();
            (view.synced, view.endpoints.is_empty())
        };
        if synced && none && !had_none {
            tracing::warn!("{NO_ENDPOINTS}");
        }
        had_none = synced && none;
        if synced {
            gate.ready();
        } else {
            gate.not_ready("the pool has not been read yet");
        }
        let _ = ready.send(synced);
        match stop.run_until_cancelled(views.changed()).await {
            None => return,
            Some(Ok(())) => {}
            // A pool that never changes.
            Some(Err(_)) => return stop.cancelled().await,
        }
    }
}

fn scorers_options(section: &EppSection, addresses: Vec<String>) -> ScorersOptions {
    ScorersOptions {
        addresses,
        max_age: section.scorer_age_max.duration(),
        hedge_share: section.hedge_share,
        in_flight: section.serve.streams,
        ..Default::default()
    }
}

fn decider_options(section: &EppSection) -> DeciderOptions {
    DeciderOptions {
        policy: section.policy.policy(),
        choices: section.choices,
        score_timeout: section.scorer_timeout.duration(),
        score_timeout_per_mib: section.scorer_timeout_per_mib.duration(),
        speculation: section.speculation.duration(),
        cluster: section.cluster.clone(),
    }
}
