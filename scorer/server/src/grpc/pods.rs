//! llm-d's `indexer.v1.IndexerService`.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto_api::llmd::indexer_service_server::IndexerService;
use proto_api::llmd::{GetPodScoresRequest, GetPodScoresResponse, PodScore};
use proto_api::v1::ScoreRequest;
use proto_api::v1::score_request::Input;
use proto_api::{Candidate, ScoreQuery};
use proto_model::Medium;
use tonic::{Request, Response, Status};

use super::timeout;
use crate::metrics::Rpc;
use crate::scorer::Scorer;
use crate::scoring::{CandidateSet, Outcome, Row, SharedAddresses, Weights};

/// The service.
#[derive(Debug, Clone)]
pub(super) struct PodService {
    scorer: Arc<Scorer>,
}

impl PodService {
    pub(super) fn new(scorer: Arc<Scorer>) -> Self {
        Self { scorer }
    }
}

#[tonic::async_trait]
impl IndexerService for PodService {
    async fn get_pod_scores(
        &self,
        request: Request<GetPodScoresRequest>,
    ) -> Result<Response<GetPodScoresResponse>, Status> {
        let timeout = timeout::of(request.metadata());
        let request = request.into_inner();
        let query = ScoreQuery::try_from(ScoreRequest {
            model: request.model_name,
            input: Some(Input::Text(request.prompt)),
            candidates: request.pod_identifiers,
            ..Default::default()
        });
        let candidates = query
            .as_ref()
            .map(|query| query.candidates.clone())
            .unwrap_or_default();
        let query = query.map_err(Into::into);
        let outcome = self.scorer.score(Rpc::GetPodScores, query, timeout).await?;
        let scoring = self.scorer.scoring();
        let listed = outcome.rows.iter().map(|row| &row.publisher.endpoint);
        let shared = SharedAddresses::among(scoring.replicas(), listed);
        let scores = pod_scores(&outcome, &candidates, scoring.weights(), &shared);
        Ok(Response::new(GetPodScoresResponse { scores }))
    }
}

/// llm-d's score: the sum, over the blocks there from the first on, of the best
/// medium's weight. Pods without the first block are left out. A pod is named as
/// the request names it, or by address (with its cluster, where several clusters
/// have that address); of several ranks the best counts.
fn pod_scores(
    outcome: &Outcome,
    candidates: &[Candidate],
    weights: &Weights,
    shared: &SharedAddresses,
) -> Vec<PodScore> {
    let set = CandidateSet::new(candidates);
    let mut scores: BTreeMap<String, f64> = BTreeMap::new();
    let mut add = |pod: String, score: f64| {
        let best = scores.entry(pod).or_default();
        *best = best.max(score);
    };
    for row in outcome.rows.iter().filter(|row| row.matched_blocks() > 0) {
        let score = weighted_blocks(row, weights);
        if set.is_all() {
            add(shared.name(&row.publisher.endpoint).into_owned(), score);
        }
        for index in set.naming(&row.publisher) {
            add(candidates[index].to_string(), score);
        }
    }
    scores
        .into_iter()
        .map(|(pod, score)| PodScore { pod, score })
        .collect()
}

fn weighted_blocks(row: &Row, weights: &Weights) -> f64 {
    let weighted = |medium| weights.get(medium) * f64::from(row.blocks_on(medium));
    Medium::ALL.into_iter().map(weighted).sum()
}
