//! Score over gRPC, as callers have it.

use std::sync::Arc;

use anyhow::Result;
use proto_api::v1::score_request::Input;
use proto_api::v1::scorer_client::ScorerClient;
use proto_api::v1::{ScoreRequest, ScoreResponse, TokenIds};
use tonic::transport::{Channel, Endpoint};

use crate::MODEL;
use crate::asked::Asked;

/// Requests that are sent again and again.
pub(crate) type Requests = Arc<Vec<ScoreRequest>>;

pub(crate) fn requests(asked: &[Asked]) -> Requests {
    let tokens = |asked: &Asked| {
        Input::Tokens(TokenIds {
            ids: asked.tokens(),
        })
    };
    with(asked, tokens)
}

/// The same in the form that needs no decoding, `token_ids_le`.
pub(crate) fn dense_requests(asked: &[Asked]) -> Requests {
    with(asked, |asked| Input::dense(&asked.tokens()))
}

fn with(asked: &[Asked], input: impl Fn(&Asked) -> Input) -> Requests {
    let request = |asked| ScoreRequest {
        model: MODEL.to_owned(),
        input: Some(input(asked)),
        ..ScoreRequest::default()
    };
    Arc::new(asked.iter().map(request).collect())
}

/// One caller, with a connection of its own.
#[derive(Clone)]
pub(crate) struct Caller {
    client: ScorerClient<Channel>,
}

impl Caller {
    pub(crate) async fn connect(port: u16) -> Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?;
        let channel = endpoint.tcp_nodelay(true).connect().await?;
        Ok(Self {
            client: ScorerClient::new(channel),
        })
    }

    pub(crate) async fn score(&mut self, request: ScoreRequest) -> Result<ScoreResponse> {
        Ok(self.client.score(request).await?.into_inner())
    }
}
