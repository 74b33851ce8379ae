//! `/query`, `/query_by_hash` and `/workers`, in Dynamo's and Mooncake's words.
//!
//! Both services have routes of these names with different bodies, hashes and
//! replies. The field that names the model tells them apart: `model_name` is
//! Dynamo's, `model` Mooncake's.

mod by_rank;
mod dynamo;
mod mooncake;
mod request;
mod workers;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use proto_api::{Failure, ScoreQuery};

use super::{Http, body, reply};
use crate::metrics::Rpc;
use crate::scoring::{Row, SharedAddresses};
use by_rank::Counts;
use request::{Asked, Dialect, DialectJson};

pub(super) use workers::workers;

pub(super) async fn query(
    State(http): State<Http>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let asked = body::read_with_tokens(body, "token_ids").and_then(DialectJson::into_query);
    answer(&http, Rpc::HttpQuery, asked).await
}

pub(super) async fn query_by_hash(
    State(http): State<Http>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let asked = body::read::<DialectJson>(body).and_then(DialectJson::into_query_by_hash);
    answer(&http, Rpc::HttpQueryByHash, asked).await
}

async fn answer(http: &Http, rpc: Rpc, asked: Result<(Asked, ScoreQuery), Failure>) -> Response {
    let (asked, query) = match asked {
        Ok(asked) => asked,
        Err(failure) => return reply::failure(&failure),
    };
    let outcome = http.scorer.score(rpc, Ok(query), None).await;
    match outcome.and_then(|outcome| asked.check(outcome)) {
        Ok(outcome) => in_dialect(http, &asked, &outcome.rows),
        Err(failure) if asked.means_nobody(&failure) => in_dialect(http, &asked, &[]),
        Err(failure) => reply::failure(&failure),
    }
}

fn in_dialect(http: &Http, asked: &Asked, rows: &[Row]) -> Response {
    let wanted = rows.iter().filter(|row| asked.wants(row, &http.instances));
    let mut rows: Vec<_> = wanted.collect();
    if asked.dialect == Dialect::Dynamo {
        if rows.is_empty()
            && let Some(failure) = asked.no_group()
        {
            return reply::failure(&failure);
        }
        rows.retain(|row| row.matched_blocks() > 0);
    }
    let listed = rows.iter().map(|row| &row.publisher.endpoint);
    let shared = SharedAddresses::among(http.scorer.scoring().replicas(), listed);
    let counts = Counts::of(&rows, |endpoint| http.instances.id(endpoint, &shared));
    match asked.dialect {
        Dialect::Dynamo => reply::written(&dynamo::reply(&rows, &counts)),
        Dialect::Mooncake => reply::written(&mooncake::reply(&asked.group, &counts)),
    }
}
