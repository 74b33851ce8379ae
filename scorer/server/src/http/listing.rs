//! `GET /v1/endpoints` and `GET /v1/stats`.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use proto_api::{EndpointInfo, Failure, FailureKind, ModelInfo, StatsInfo, StoreStats};
use proto_model::{Extras, KeySpace, Medium};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::standing::StandingJson;
use super::{Http, reply};
use crate::listing::{self, EndpointFilter};

/// The query's parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointParameters {
    #[serde(default)]
    model: String,
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    page_size: usize,
    #[serde(default)]
    page_token: String,
}

#[derive(Serialize)]
struct Page {
    endpoints: Vec<EndpointJson>,
    next_page_token: String,
    revision: u64,
    age_ms: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stores: Vec<StandingJson>,
}

#[derive(Serialize)]
struct EndpointJson {
    cluster: String,
    address: String,
    rank: u32,
    model: String,
    trust: &'static str,
    incarnation: u64,
    next_sequence: u64,
    last_event_us: u64,
    blocks: Map<String, Value>,
    parked: u64,
    lost: u64,
    spaces: Vec<SpaceJson>,
}

#[derive(Serialize)]
struct SpaceJson {
    profile: String,
    model: String,
    lora: Option<String>,
    block_size: u32,
    extras_hidden: bool,
    /// As text: JSON numbers of many languages end at 2^53.
    scope: String,
}

#[derive(Serialize)]
struct StatsJson {
    revision: u64,
    age_ms: u64,
    state: &'static str,
    publishers: u64,
    memberships: u64,
    blocks: u64,
    bytes: u64,
    models: Vec<ModelJson>,
    resets: u64,
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stores: Vec<StoreJson>,
}

#[derive(Serialize)]
struct StoreJson {
    #[serde(flatten)]
    standing: StandingJson,
    publishers: u64,
    memberships: u64,
    blocks: u64,
    bytes: u64,
    resets: u64,
}

#[derive(Serialize)]
struct ModelJson {
    name: String,
    publishers: u64,
    spaces: Vec<SpaceJson>,
    tokenizer: bool,
}

pub(super) async fn endpoints(
    State(http): State<Http>,
    parameters: Result<Query<EndpointParameters>, QueryRejection>,
) -> Response {
    reply::json(page(&http, parameters))
}

fn page(
    http: &Http,
    parameters: Result<Query<EndpointParameters>, QueryRejection>,
) -> Result<Page, Failure> {
    let Query(parameters) = parameters.map_err(|rejection| {
        Failure::of_field(FailureKind::InvalidArgument, "query", rejection.body_text())
    })?;
    let filter = EndpointFilter {
        model: parameters.model,
        cluster: parameters.cluster,
        page_size: parameters.page_size,
        page_token: parameters.page_token,
    };
    let page = listing::endpoints(http.scorer.scoring(), &filter)?;
    Ok(Page {
        endpoints: page.endpoints.iter().map(Into::into).collect(),
        next_page_token: page.next_page_token,
        revision: page.standing.revision.0,
        age_ms: page.standing.age_ms,
        stores: page.standing.stores.into_iter().map(Into::into).collect(),
    })
}

pub(super) async fn stats(State(http): State<Http>) -> Response {
    reply::json(Ok(StatsJson::from(listing::stats(http.scorer.scoring()))))
}

impl From<&EndpointInfo> for EndpointJson {
    fn from(info: &EndpointInfo) -> Self {
        let status = &info.status;
        let count = |medium: Medium| {
            (
                medium.as_str().to_owned(),
                info.blocks[medium as usize].into(),
            )
        };
        Self {
            cluster: status.publisher.endpoint.cluster().to_owned(),
            address: status.publisher.endpoint.address().to_owned(),
            rank: status.publisher.rank.0,
            model: status.model.clone(),
            trust: status.cursor.trust.as_str(),
            incarnation: status.cursor.incarnation.0,
            next_sequence: status.cursor.next,
            last_event_us: status.cursor.timestamp.0,
            blocks: Medium::ALL.into_iter().map(count).collect(),
            parked: status.parked,
            lost: status.lost,
            spaces: info.spaces.iter().map(Into::into).collect(),
        }
    }
}

impl From<&KeySpace> for SpaceJson {
    fn from(space: &KeySpace) -> Self {
        Self {
            profile: space.profile.to_string(),
            model: space.model.clone(),
            lora: space.lora.clone(),
            block_size: space.block_size,
            extras_hidden: space.extras == Extras::Hidden,
            scope: format!("{:#018x}", space.scope().0),
        }
    }
}

impl From<StatsInfo> for StatsJson {
    fn from(info: StatsInfo) -> Self {
        Self {
            revision: info.revision.0,
            age_ms: info.age_ms,
            state: info.state.as_str(),
            publishers: info.publishers,
            memberships: info.memberships,
            blocks: info.blocks,
            bytes: info.bytes,
            models: info.models.into_iter().map(Into::into).collect(),
            resets: info.resets,
            version: info.version,
            stores: info.stores.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<StoreStats> for StoreJson {
    fn from(stats: StoreStats) -> Self {
        Self {
            standing: stats.standing.into(),
            publishers: stats.publishers,
            memberships: stats.memberships,
            blocks: stats.blocks,
            bytes: stats.bytes,
            resets: stats.resets,
        }
    }
}

impl From<ModelInfo> for ModelJson {
    fn from(info: ModelInfo) -> Self {
        Self {
            name: info.name,
            publishers: info.publishers,
            spaces: info.spaces.iter().map(Into::into).collect(),
            tokenizer: info.tokenizer,
        }
    }
}
