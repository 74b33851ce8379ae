//! `kvatlas.v1.Scorer`.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use proto_api::v1::scorer_server::Scorer as ScorerRpc;
use proto_api::v1::{ScoreRequest, ScoreResponse};
use proto_api::{Failure, InvalidQuery, ScoreQuery};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{status, timeout};
use crate::caught::caught;
use crate::metrics::Rpc;
use crate::scorer::Scorer;

/// The service.
#[derive(Debug, Clone)]
pub(super) struct ScorerService {
    scorer: Arc<Scorer>,
    stop: CancellationToken,
}

impl ScorerService {
    pub(super) fn new(scorer: Arc<Scorer>, stop: CancellationToken) -> Self {
        Self { scorer, stop }
    }
}

#[tonic::async_trait]
impl ScorerRpc for ScorerService {
    async fn score(
        &self,
        request: Request<ScoreRequest>,
    ) -> Result<Response<ScoreResponse>, Status> {
        let timeout = timeout::of(request.metadata());
        let mut request = request.into_inner();
        let request_id = std::mem::take(&mut request.request_id);
        let query = ScoreQuery::try_from(request).map_err(Into::into);
        let outcome = self
            .scorer
            .score(Rpc::Score, query, timeout)
            .await
            .map_err(Status::from)?;
        Ok(Response::new(
            outcome.into_answer().into_response(request_id),
        ))
    }

    type ScoreStreamStream = Pin<Box<dyn Stream<Item = Result<ScoreResponse, Status>> + Send>>;

    async fn score_stream(
        &self,
        requests: Request<Streaming<ScoreRequest>>,
    ) -> Result<Response<Self::ScoreStreamStream>, Status> {
        let place = self.scorer.open_stream().map_err(Failure::from)?;
        let scorer = Arc::clone(&self.scorer);
        let answers = requests
            .into_inner()
            // On shutdown no more requests are read; those read are answered.
            .take_until(self.stop.clone().cancelled_owned())
            .map(move |request| answer(Arc::clone(&scorer), request))
            .buffer_unordered(self.scorer.limits().per_stream)
            .map(move |answer| {
                // Held here, the place is free again when the stream is.
                let _ = &place;
                answer
            });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// One request of a stream. Only a broken stream is an error of the stream.
async fn answer(
    scorer: Arc<Scorer>,
    request: Result<ScoreRequest, Status>,
) -> Result<ScoreResponse, Status> {
    let request = request.map_err(status::of_unreadable)?;
    let request_id = bounded(&request.request_id);
    let query = match request.request_id.is_empty() {
        true => Err(InvalidQuery::RequestIdMissing.into()),
        false => ScoreQuery::try_from(request).map_err(Into::into),
    };
    let work = scorer.score(Rpc::ScoreStream, query, None);
    // A panic must not end the stream with all its other questions.
    let outcome = caught(scorer.metrics(), work).await.flatten();
    Ok(match outcome {
        Ok(outcome) => outcome.into_answer().into_response(request_id),
        Err(failure) => failure.on_stream(request_id),
    })
}

/// The id as it is given back; one that is refused for its length is cut, so
/// that the refusal is not as long.
fn bounded(id: &str) -> String {
    let mut end = id.len().min(proto_api::limits::REQUEST_ID_BYTES);
    while !id.is_char_boundary(end) {
        end -= 1;
    }
    id[..end].to_owned()
}
