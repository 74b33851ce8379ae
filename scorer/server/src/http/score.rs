//! `POST /v1/score`: the gRPC call in JSON, with the same fields and checks.

mod request;
mod response;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use proto_api::{Failure, ScoreQuery};

use super::{Http, body, reply};
use crate::metrics::Rpc;
use request::ScoreJson;
use response::AnswerJson;

pub(super) async fn score(
    State(http): State<Http>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    reply::json(answer(&http, body).await)
}

async fn answer(http: &Http, body: Result<Bytes, BytesRejection>) -> Result<AnswerJson, Failure> {
    let read = body::read_with_tokens::<ScoreJson>(body, "tokens")?;
    let request = read.body.into_request(read.token_ids)?;
    let request_id = request.request_id.clone();
    let estimated = request.estimation.is_some();
    let query = ScoreQuery::try_from(request).map_err(Into::into);
    let outcome = http.scorer.score(Rpc::HttpScore, query, None).await?;
    let answer = outcome.into_answer();
    Ok(AnswerJson::new(request_id, estimated, answer))
}
