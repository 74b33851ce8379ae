//! Score over gRPC, as callers have it.

use std::sync::Arc;

use anyhow::Result;
use bytes::{BufMut, Bytes};
use prost::Message;
use proto_api::v1::score_request::Input;
use proto_api::v1::scorer_client::ScorerClient;
use proto_api::v1::{ScoreRequest, ScoreResponse, TokenIds};
use tonic::client::Grpc;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_prost::{ProstCodec, ProstDecoder};

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

/// The same requests as bytes: a caller that encodes them anew each time uses the
/// cores that the server is measured on.
pub(crate) fn encoded(requests: &Requests) -> Arc<Vec<Bytes>> {
    let bytes = requests
        .iter()
        .map(|request| request.encode_to_vec().into());
    Arc::new(bytes.collect())
}

/// One caller, with a connection of its own.
#[derive(Clone)]
pub(crate) struct Caller {
    client: ScorerClient<Channel>,
    encoded: Grpc<Channel>,
}

impl Caller {
    pub(crate) async fn connect(port: u16) -> Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?;
        let channel = endpoint.tcp_nodelay(true).connect().await?;
        Ok(Self {
            client: ScorerClient::new(channel.clone()),
            encoded: Grpc::new(channel),
        })
    }

    pub(crate) async fn score(&mut self, request: ScoreRequest) -> Result<ScoreResponse> {
        Ok(self.client.score(request).await?.into_inner())
    }

    pub(crate) async fn score_encoded(&mut self, request: Bytes) -> Result<ScoreResponse> {
        self.encoded.ready().await?;
        let path = PathAndQuery::from_static("/kvatlas.v1.Scorer/Score");
        let answer = self.encoded.unary(Request::new(request), path, AsIs).await;
        Ok(answer?.into_inner())
    }
}

/// Sends bytes as they are, and decodes what comes back.
struct AsIs;

impl Codec for AsIs {
    type Encode = Bytes;
    type Decode = ScoreResponse;
    type Encoder = Self;
    type Decoder = ProstDecoder<ScoreResponse>;

    fn encoder(&mut self) -> Self::Encoder {
        Self
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<(), ScoreResponse>::default().decoder()
    }
}

impl Encoder for AsIs {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(message);
        Ok(())
    }
}
