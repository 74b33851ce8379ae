//! The answer's JSON.

use proto_api::{EndpointScore, RouteKeys, ScoreAnswer};
use proto_model::Medium;
use serde::Serialize;

use crate::http::standing::StandingJson;

/// Fields as in `kvatlas.v1.ScoreResponse`.
#[derive(Serialize)]
pub(super) struct AnswerJson {
    #[serde(skip_serializing_if = "String::is_empty")]
    request_id: String,
    model: String,
    lora: Option<String>,
    prompt_tokens: Option<u32>,
    endpoints: Vec<ScoreJson>,
    revision: u64,
    age_ms: u64,
    state: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stores: Vec<StandingJson>,
    warnings: Vec<String>,
    unknown_candidates: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    token_ids: Vec<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    route_keys: Vec<RouteKeysJson>,
    /// Only with estimation.
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_blocks: Option<u32>,
}

#[derive(Serialize)]
struct RouteKeysJson {
    profile: String,
    block_size: u32,
    /// As text: JSON numbers of many languages end at 2^53.
    keys: Vec<String>,
}

#[derive(Serialize)]
struct ScoreJson {
    cluster: String,
    address: String,
    rank: u32,
    matched_blocks: u32,
    matched_tokens: u32,
    reusable_tokens: u32,
    by_medium: MediaJson,
    score: f64,
    trust: &'static str,
    incarnation: u64,
    block_size: u32,
    profile: String,
    last_event_us: u64,
    speculative_tokens: u32,
}

#[derive(Serialize)]
struct MediaJson {
    gpu: u32,
    cpu: u32,
    disk: u32,
    remote: u32,
}

impl AnswerJson {
    pub(super) fn new(request_id: String, estimated: bool, answer: ScoreAnswer) -> Self {
        Self {
            request_id,
            model: answer.model,
            lora: answer.lora,
            prompt_tokens: answer.prompt_tokens,
            endpoints: answer.endpoints.iter().map(Into::into).collect(),
            revision: answer.revision.0,
            age_ms: answer.age_ms,
            state: answer.state.as_str(),
            stores: answer.stores.into_iter().map(Into::into).collect(),
            warnings: answer.warnings,
            unknown_candidates: answer.unknown_candidates,
            token_ids: answer.token_ids,
            route_keys: answer.route_keys.iter().map(Into::into).collect(),
            prompt_blocks: estimated.then_some(answer.prompt_blocks),
        }
    }
}

impl From<&RouteKeys> for RouteKeysJson {
    fn from(list: &RouteKeys) -> Self {
        let keys = list.keys.iter().map(|key| format!("{:#018x}", key.0));
        Self {
            profile: list.profile.to_string(),
            block_size: list.block_size,
            keys: keys.collect(),
        }
    }
}

impl From<&EndpointScore> for ScoreJson {
    fn from(score: &EndpointScore) -> Self {
        Self {
            cluster: score.publisher.endpoint.cluster().to_owned(),
            address: score.publisher.endpoint.address().to_owned(),
            rank: score.publisher.rank.0,
            matched_blocks: score.matched_blocks,
            matched_tokens: score.matched_tokens(),
            reusable_tokens: score.reusable_tokens,
            by_medium: MediaJson {
                gpu: score.on(Medium::Gpu),
                cpu: score.on(Medium::Cpu),
                disk: score.on(Medium::Disk),
                remote: score.on(Medium::Remote),
            },
            score: score.score,
            trust: score.trust.as_str(),
            incarnation: score.incarnation.0,
            block_size: score.block_size,
            profile: score.profile.to_string(),
            last_event_us: score.last_event.0,
            speculative_tokens: score.speculative_tokens,
        }
    }
}
