//! The yardstick: a server of the same messages on the same transport, which
//! decodes what it gets and answers without work.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Result;
use proto_api::limits;
use proto_api::v1::score_request::Input;
use proto_api::v1::scorer_server::{Scorer, ScorerServer};
use proto_api::v1::{EndpointScore, MediumTokens, ScoreRequest, ScoreResponse};
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// The id of requests that are to be answered with an empty message.
pub(crate) const EMPTY: &str = "empty";

struct Echo {
    endpoints: usize,
}

/// Serves until the process is ended.
pub(crate) async fn serve(port: u16, endpoints: usize) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let service = ScorerServer::new(Echo { endpoints });
    Server::builder()
        // As the scorer's own server has it.
        .max_concurrent_streams(1024)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .max_frame_size(256 << 10)
        .add_service(service.max_decoding_message_size(limits::MESSAGE_BYTES))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

#[tonic::async_trait]
impl Scorer for Echo {
    async fn score(
        &self,
        request: Request<ScoreRequest>,
    ) -> Result<Response<ScoreResponse>, Status> {
        let request = request.into_inner();
        if request.request_id == EMPTY {
            return Ok(Response::new(ScoreResponse::default()));
        }
        let tokens = match &request.input {
            Some(Input::Tokens(tokens)) => tokens.ids.len(),
            Some(Input::TokenIdsLe(bytes)) => bytes.len() / 4,
            _ => return Err(Status::invalid_argument("token ids are wanted")),
        };
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        let endpoint = |number: usize| EndpointScore {
            cluster: "default".to_owned(),
            address: format!("10.0.0.{number}:8000"),
            matched_blocks: tokens / 16,
            matched_tokens: tokens,
            reusable_tokens: tokens,
            by_medium: Some(MediumTokens {
                gpu: tokens,
                ..MediumTokens::default()
            }),
            score: 0.99,
            trust: 4,
            incarnation: 1,
            block_size: 16,
            profile: 1,
            last_event_us: 1_000_000_000,
            ..EndpointScore::default()
        };
        Ok(Response::new(ScoreResponse {
            model: request.model,
            prompt_tokens: tokens,
            block_size: 16,
            endpoints: (0..self.endpoints).map(endpoint).collect(),
            revision: 1_000_000,
            state: 2,
            ..ScoreResponse::default()
        }))
    }

    type ScoreStreamStream = Pin<Box<dyn Stream<Item = Result<ScoreResponse, Status>> + Send>>;

    async fn score_stream(
        &self,
        _requests: Request<Streaming<ScoreRequest>>,
    ) -> Result<Response<Self::ScoreStreamStream>, Status> {
        Err(Status::unimplemented("only Score is echoed"))
    }
}
