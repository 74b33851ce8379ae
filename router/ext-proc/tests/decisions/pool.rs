//! A pool, a decider, and requests to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proto_api::v1;
use router_discovery::{PoolEndpoint, PoolView, Strategy};
use router_ext_proc::{
    Asked, Decide, Decider, DeciderOptions, Headers, NoLoads, Refused, Routed, SampledLoads,
    Scorers, ScorersOptions, Subset,
};
use tokio::sync::watch;

use crate::scorer_double::ScorerDouble;
use crate::within;

/// A decider and what surrounds it.
pub(crate) struct Picker {
    pub(crate) decider: Decider,
    pub(crate) view: watch::Sender<Arc<PoolView>>,
}

/// Endpoints at these addresses.
pub(crate) fn pool(strategy: Strategy, addresses: &[&str]) -> PoolView {
    let endpoint = |address: &&str| {
        Arc::new(PoolEndpoint {
            name: format!("default/{address}"),
            address: address.parse().expect("an address"),
            labels: Default::default(),
        })
    };
    PoolView {
        pool: "default/pool".to_owned(),
        synced: true,
        endpoints: addresses.iter().map(endpoint).collect(),
        strategy,
        ..PoolView::default()
    }
}

impl Picker {
    pub(crate) fn new(view: PoolView, scorers: &[&ScorerDouble]) -> Self {
        Self::with(view, scorers, DeciderOptions::default(), Arc::new(NoLoads))
    }

    pub(crate) fn with(
        view: PoolView,
        scorers: &[&ScorerDouble],
        options: DeciderOptions,
        loads: Arc<dyn SampledLoads>,
    ) -> Self {
        let scorers = Scorers::start(ScorersOptions {
            addresses: scorers
                .iter()
                .map(|double| double.address.to_string())
                .collect(),
            ..Default::default()
        });
        let (sender, views) = watch::channel(Arc::new(view));
        Self {
            decider: Decider::new(views, loads, Arc::new(scorers), options),
            view: sender,
        }
    }

    pub(crate) async fn route(&self, asked: Asked) -> Result<Routed, Refused> {
        within("a decision", self.decider.decide(asked)).await
    }

    /// The first choice.
    pub(crate) async fn first(&self, asked: Asked) -> String {
        match self.route(asked).await {
            Ok(routed) => routed.endpoints[0].to_string(),
            Err(refused) => panic!("refused: {refused}"),
        }
    }
}

/// Scorers have time enough on any machine.
pub(crate) fn patient() -> DeciderOptions {
    DeciderOptions {
        score_timeout: crate::LIMIT,
        ..Default::default()
    }
}

/// A request with a body.
pub(crate) fn post(path: &str, body: &str) -> Asked {
    Asked {
        request_id: "request-1".to_owned(),
        method: "POST".to_owned(),
        path: path.to_owned(),
        headers: Headers::default(),
        body: Some(body.to_owned().into()),
        subset: Subset::Whole,
        arrived: Instant::now(),
        deadline: Instant::now() + crate::LIMIT + Duration::from_secs(10),
    }
}

/// A chat request.
pub(crate) fn chat() -> Asked {
    post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#)
}

/// A row of an answer: so many of 16-token blocks.
pub(crate) fn row(address: &str, rank: u32, blocks: u32) -> v1::EndpointScore {
    v1::EndpointScore {
        cluster: "default".to_owned(),
        address: address.to_owned(),
        rank,
        matched_blocks: blocks,
        reusable_tokens: blocks * 16,
        score: f64::from(blocks * 16) / 1000.0,
        block_size: 16,
        profile: v1::Profile::Content.into(),
        ..Default::default()
    }
}

/// An answer for a prompt of 1000 tokens.
pub(crate) fn rows(endpoints: Vec<v1::EndpointScore>) -> v1::ScoreResponse {
    v1::ScoreResponse {
        prompt_tokens: 1000,
        endpoints,
        route_keys: vec![v1::RouteKeys {
            profile: v1::Profile::Content.into(),
            block_size: 16,
            keys: (0..62).collect(),
        }],
        ..Default::default()
    }
}
