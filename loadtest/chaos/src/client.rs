//! One scorer, asked over gRPC.

use std::time::Duration;

use anyhow::Result;
use loadtest_engines::{BLOCK_SIZE, Prompt, rolling_hashes};
use proto_api::v1::block_keys::Form;
use proto_api::v1::index_client::IndexClient;
use proto_api::v1::score_request::Input;
use proto_api::v1::scorer_client::ScorerClient;
use proto_api::v1::{
    BlockKeys, EndpointInfo, ListEndpointsRequest, ScoreRequest, ScoreResponse, StatsRequest,
    StatsResponse, TokenIds,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// One call may take so long; more is a failure.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// A scorer's two services.
#[derive(Clone)]
pub(crate) struct Client {
    scorer: ScorerClient<Channel>,
    index: IndexClient<Channel>,
    limit: Duration,
}

impl Client {
    /// Connects with the first call.
    pub(crate) fn new(port: u16) -> Result<Self> {
        Self::with_limit(port, CALL_LIMIT)
    }

    /// With another limit for calls.
    pub(crate) fn with_limit(port: u16, limit: Duration) -> Result<Self> {
        let channel = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?
            .connect_timeout(limit)
            .connect_lazy();
        Ok(Self {
            scorer: ScorerClient::new(channel.clone()),
            index: IndexClient::new(channel),
            limit,
        })
    }

    /// Scores a prompt by its tokens.
    pub(crate) async fn score_tokens(
        &mut self,
        model: &str,
        prompt: &Prompt,
    ) -> Result<ScoreResponse, Status> {
        let tokens = (0..prompt.blocks()).flat_map(|block| prompt.tokens(block));
        let ids = TokenIds {
            ids: tokens.collect(),
        };
        self.score(model, Input::Tokens(ids)).await
    }

    /// Scores a prompt by rolling hashes computed here.
    pub(crate) async fn score_prompt(
        &mut self,
        model: &str,
        prompt: &Prompt,
    ) -> Result<ScoreResponse, Status> {
        self.score_rolling(model, rolling_hashes(prompt)).await
    }

    pub(crate) async fn score_rolling(
        &mut self,
        model: &str,
        values: Vec<u64>,
    ) -> Result<ScoreResponse, Status> {
        let keys = BlockKeys {
            values,
            block_size: BLOCK_SIZE as u32,
            form: Form::Rolling.into(),
            prompt_tokens: 0,
        };
        self.score(model, Input::Keys(keys)).await
    }

    async fn score(&mut self, model: &str, input: Input) -> Result<ScoreResponse, Status> {
        let request = ScoreRequest {
            model: model.to_owned(),
            input: Some(input),
            ..Default::default()
        };
        let answer = self.scorer.score(self.limited(request)).await?;
        Ok(answer.into_inner())
    }

    /// Every endpoint, and the oldest revision that a page was read at.
    pub(crate) async fn endpoints(&mut self) -> Result<(Vec<EndpointInfo>, u64), Status> {
        let mut endpoints = Vec::new();
        let mut revision = u64::MAX;
        let mut page_token = String::new();
        loop {
            let request = ListEndpointsRequest {
                page_token,
                ..Default::default()
            };
            let page = self.index.list_endpoints(self.limited(request)).await?;
            let page = page.into_inner();
            endpoints.extend(page.endpoints);
            revision = revision.min(page.revision);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok((endpoints, revision));
            }
        }
    }

    pub(crate) async fn stats(&mut self) -> Result<StatsResponse, Status> {
        let answer = self.index.stats(self.limited(StatsRequest {})).await?;
        Ok(answer.into_inner())
    }

    fn limited<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.limit);
        request
    }
}
