//! The pool that a picker routes to: from manifests, or as it is configured.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use router_discovery::{
    Departures, Discovery, EstimatedRouting, FileSettings, KubernetesSettings, PoolEndpoint,
    PoolView, Strategy, TrackingRouting, fixed_pool, follow_files, follow_kubernetes,
    parse_endpoint,
};

use crate::config::{EppSection, StrategyKind};

/// What a pool without manifests is called.
const FIXED: &str = "default/fixed";

/// A pool that has been read once.
pub(crate) struct Pool {
    /// Its endpoints and rules, as they change.
    pub(crate) discovery: Discovery,
    /// Who is gone for good; `None` where nobody ever is.
    pub(super) departures: Option<Departures>,
}

impl Pool {
    /// Reads it. Manifests with mistakes are an error that lists all of them.
    pub(crate) async fn open(section: &EppSection) -> Result<Self> {
        if section.is_in_kubernetes() {
            return Self::in_kubernetes(section).await;
        }
        let endpoints = endpoints(section)?;
        if section.manifests.is_empty() {
            let discovery = fixed_pool(FIXED, endpoints, strategy(section.strategy));
            return Ok(Self {
                discovery: discovery.context("epp.endpoints")?,
                departures: None,
            });
        }
        let settings = FileSettings {
            paths: section.manifests.clone(),
            pool_name: section.pool.name.clone(),
            pool_namespace: section.pool.namespace.clone(),
            endpoints,
            departure_grace: section.departure_grace.duration(),
            ..Default::default()
        };
        let (discovery, departures) = follow_files(settings).await.context("epp.manifests")?;
        Ok(Self {
            discovery,
            departures: Some(departures),
        })
    }

    async fn in_kubernetes(section: &EppSection) -> Result<Self> {
        let name = section.pool.name.as_deref().unwrap_or_default();
        let settings = KubernetesSettings {
            pool_namespace: section.pool.namespace.clone(),
            pool_group: section.pool.known_group(),
            departure_grace: section.departure_grace.duration(),
            ..KubernetesSettings::new(name)
        };
        let (discovery, departures) = follow_kubernetes(settings)
            .await
            .context("epp.kubernetes")?;
        Ok(Self {
            discovery,
            departures: Some(departures),
        })
    }

    /// The pool once everything has been read, or as it is after `patience`.
    pub(crate) async fn view_within(&self, patience: Duration) -> Arc<PoolView> {
        let mut views = self.discovery.views();
        let synced = views.wait_for(|view| view.synced);
        // What is there is as good as it gets, in time or not.
        let _ = tokio::time::timeout(patience, synced).await.map(drop);
        Arc::clone(&views.borrow())
    }
}

fn endpoints(section: &EppSection) -> Result<Vec<PoolEndpoint>> {
    let parsed = section.endpoints.iter().map(|text| parse_endpoint(text));
    parsed.collect::<Result<_, _>>().context("epp.endpoints")
}

fn strategy(kind: StrategyKind) -> Strategy {
    match kind {
        StrategyKind::Tracking => Strategy::Tracking(TrackingRouting::default()),
        StrategyKind::Estimated => Strategy::Estimated(EstimatedRouting::default()),
        StrategyKind::Load => Strategy::LoadOnly,
    }
}
