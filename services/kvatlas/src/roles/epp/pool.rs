//! The pool that a picker routes to: from manifests, or as it is configured.

use anyhow::{Context, Result};
use router_discovery::{
    Departures, Discovery, EstimatedRouting, FileSettings, PoolEndpoint, Strategy, TrackingRouting,
    fixed_pool, follow_files, parse_endpoint,
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
