//! [`ScoreAnswer`] to `ScoreResponse` and back.

use proto_model::{BlockKey, Incarnation, Medium, Revision, Timestamp};

use crate::{EndpointScore, InvalidAnswer, RouteKeys, ScoreAnswer, StoreStanding, names, v1};

impl ScoreAnswer {
    /// The answer as a message; `request_id` is the request's.
    #[must_use]
    pub fn into_response(self, request_id: String) -> v1::ScoreResponse {
        let mut sizes = self.endpoints.iter().map(|endpoint| endpoint.block_size);
        let first = sizes.next().unwrap_or(0);
        let block_size = if sizes.all(|size| size == first) {
            first
        } else {
            0
        };
        v1::ScoreResponse {
            request_id,
            model: self.model,
            lora: self.lora,
            prompt_tokens: self.prompt_tokens.unwrap_or(0),
            block_size,
            endpoints: self.endpoints.iter().map(Into::into).collect(),
            revision: self.revision.0,
            age_ms: self.age_ms,
            state: v1::ReplicaState::from(self.state).into(),
            warnings: self.warnings,
            unknown_candidates: self.unknown_candidates,
            error: None,
            token_ids: self.token_ids,
            stores: self.stores.iter().map(Into::into).collect(),
            route_keys: self.route_keys.into_iter().map(Into::into).collect(),
            prompt_blocks: self.prompt_blocks,
        }
    }
}

impl From<RouteKeys> for v1::RouteKeys {
    fn from(list: RouteKeys) -> Self {
        Self {
            profile: v1::Profile::from(list.profile).into(),
            block_size: list.block_size,
            // In place: a key is its number.
            keys: list.keys.into_iter().map(|key| key.0).collect(),
        }
    }
}

impl From<&StoreStanding> for v1::StoreStanding {
    fn from(standing: &StoreStanding) -> Self {
        Self {
            cluster: standing.cluster.clone(),
            revision: standing.revision.0,
            age_ms: standing.age_ms,
            state: v1::ReplicaState::from(standing.state).into(),
        }
    }
}

impl From<&EndpointScore> for v1::EndpointScore {
    fn from(score: &EndpointScore) -> Self {
        Self {
            cluster: score.publisher.endpoint.cluster().to_owned(),
            address: score.publisher.endpoint.address().to_owned(),
            rank: score.publisher.rank.0,
            matched_blocks: score.matched_blocks,
            matched_tokens: score.matched_tokens(),
            reusable_tokens: score.reusable_tokens,
            by_medium: Some(v1::MediumTokens {
                gpu: score.on(Medium::Gpu),
                cpu: score.on(Medium::Cpu),
                disk: score.on(Medium::Disk),
                remote: score.on(Medium::Remote),
            }),
            score: score.score,
            trust: v1::Trust::from(score.trust).into(),
            incarnation: score.incarnation.0,
            block_size: score.block_size,
            profile: v1::Profile::from(score.profile).into(),
            last_event_us: score.last_event.0,
            speculative_tokens: score.speculative_tokens,
        }
    }
}

impl From<names::UnknownValue> for InvalidAnswer {
    fn from(unknown: names::UnknownValue) -> Self {
        Self::Unknown {
            field: unknown.field,
            value: unknown.value,
        }
    }
}

impl TryFrom<v1::ScoreResponse> for ScoreAnswer {
    type Error = InvalidAnswer;

    fn try_from(response: v1::ScoreResponse) -> Result<Self, Self::Error> {
        let endpoints = response.endpoints.iter().enumerate();
        Ok(Self {
            state: names::state(response.state)?,
            stores: response
                .stores
                .into_iter()
                .map(standing)
                .collect::<Result<_, _>>()?,
            endpoints: endpoints
                .map(|(index, wire)| endpoint(index, wire))
                .collect::<Result<_, _>>()?,
            model: response.model,
            lora: response.lora,
            prompt_tokens: (response.prompt_tokens != 0).then_some(response.prompt_tokens),
            revision: Revision(response.revision),
            age_ms: response.age_ms,
            warnings: response.warnings,
            unknown_candidates: response.unknown_candidates,
            token_ids: response.token_ids,
            route_keys: response
                .route_keys
                .into_iter()
                .map(route_keys)
                .collect::<Result<_, _>>()?,
            prompt_blocks: response.prompt_blocks,
        })
    }
}

fn route_keys(wire: v1::RouteKeys) -> Result<RouteKeys, InvalidAnswer> {
    Ok(RouteKeys {
        profile: names::key_profile(wire.profile)?,
        block_size: wire.block_size,
        keys: wire.keys.into_iter().map(BlockKey).collect(),
    })
}

fn standing(wire: v1::StoreStanding) -> Result<StoreStanding, InvalidAnswer> {
    Ok(StoreStanding {
        cluster: wire.cluster,
        revision: Revision(wire.revision),
        age_ms: wire.age_ms,
        state: names::state(wire.state)?,
    })
}

fn endpoint(index: usize, wire: &v1::EndpointScore) -> Result<EndpointScore, InvalidAnswer> {
    let publisher = names::publisher(&wire.cluster, &wire.address, wire.rank)
        .map_err(|error| InvalidAnswer::Endpoint { index, error })?;
    let media = wire
        .by_medium
        .as_ref()
        .ok_or(InvalidAnswer::Missing("by_medium"))?;
    if !(0.0..=1.0).contains(&wire.score) {
        return Err(InvalidAnswer::Score {
            index,
            score: wire.score,
        });
    }
    Ok(EndpointScore {
        publisher,
        matched_blocks: wire.matched_blocks,
        reusable_tokens: wire.reusable_tokens,
        by_medium: [media.gpu, media.cpu, media.disk, media.remote],
        score: wire.score,
        trust: names::trust(wire.trust)?,
        incarnation: Incarnation(wire.incarnation),
        block_size: wire.block_size,
        profile: names::key_profile(wire.profile)?,
        last_event: Timestamp(wire.last_event_us),
        speculative_tokens: wire.speculative_tokens,
    })
}
