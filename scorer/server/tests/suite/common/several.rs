//! One scorer on two embedded stores, each fed by hand.

use std::sync::Arc;

use indexer_store::IndexWatch;
use proto_api::{Failure, Input, ScoreAnswer, ScoreQuery};
use proto_model::{Medium, Publisher};
use scorer_index::IndexLimits;
use scorer_prompt::{LibraryConfig, ModelLibrary, RequestLimits, Unlisted};
use scorer_server::{
    FollowSettings, ModelCatalog, Prompts, Replicas, Rpc, Scorer, ScorerLimits, ScorerMetrics,
    Scoring, Weights,
};
use tokio_util::sync::CancellationToken;

use super::{World, space, stored};

/// The worlds are the stores; what they score themselves does not matter.
pub(crate) struct Several {
    pub(crate) worlds: [World; 2],
    pub(crate) replicas: Replicas,
    pub(crate) scorer: Arc<Scorer>,
    pub(crate) metrics: ScorerMetrics,
    pub(crate) stop: CancellationToken,
}

impl Drop for Several {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Several {
    /// Both are followed, and loaded.
    pub(crate) async fn new(labels: [Option<&str>; 2]) -> Self {
        let several = Self::unfollowed(labels).await;
        several.follow(0);
        several.follow(1);
        several.replicas.complete().await;
        several
    }

    pub(crate) async fn unfollowed(labels: [Option<&str>; 2]) -> Self {
        let labels = labels.map(|label| label.map(str::to_owned));
        let limits = IndexLimits::default();
        let replicas = Replicas::new(&labels, limits, FollowSettings::default()).expect("valid");
        let library = Arc::new(ModelLibrary::new(LibraryConfig {
            unlisted: Unlisted::Refuse,
            ..LibraryConfig::default()
        }));
        let prompts = Prompts::new(library, RequestLimits::default());
        let catalog = Arc::new(ModelCatalog::default());
        let scoring = Scoring::new(replicas.clone(), catalog, prompts, Weights::default());
        let metrics = ScorerMetrics::default();
        Self {
            worlds: [World::new().await, World::new().await],
            scorer: Scorer::new(scoring, ScorerLimits::default(), metrics.clone()),
            replicas,
            metrics,
            stop: CancellationToken::new(),
        }
    }

    /// Has the replica of one store follow it.
    pub(crate) fn follow(&self, number: usize) {
        let replica = self.replicas.iter().nth(number).expect("one of two");
        let store = Arc::clone(&self.worlds[number].store) as Arc<dyn IndexWatch>;
        tokio::spawn(Arc::clone(replica).follow(store, self.stop.clone()));
    }

    /// The stores, as the gRPC service takes them.
    pub(crate) fn stores(&self) -> Vec<Arc<dyn IndexWatch>> {
        let stores = self.worlds.iter();
        stores.map(|world| Arc::clone(&world.store) as _).collect()
    }

    /// A store's endpoint stores a prompt's blocks of four tokens on the GPU, and
    /// the scorer knows it.
    pub(crate) async fn publish(&self, number: usize, publisher: &Publisher, prompt: &[u32]) {
        let space = space("m", None, 4);
        let world = &self.worlds[number];
        let changes = vec![stored(&space, prompt, Medium::Gpu)];
        world.publish(publisher, &space, changes).await;
        let replica = self.replicas.iter().nth(number).expect("one of two");
        replica.reached(world.store.revision()).await;
    }

    pub(crate) async fn ask(&self, query: ScoreQuery) -> Result<ScoreAnswer, Failure> {
        let outcome = self.scorer.score(Rpc::Score, Ok(query), None).await;
        outcome.map(scorer_server::Outcome::into_answer)
    }

    pub(crate) async fn score(&self, prompt: &[u32], candidates: &[&str]) -> ScoreAnswer {
        let mut query = ScoreQuery::new("m", Input::Tokens(prompt.to_vec()));
        let candidates = candidates.iter().map(|name| name.parse().expect("a name"));
        query.candidates = candidates.collect();
        self.ask(query).await.expect("an answer")
    }
}

/// `(cluster/address#rank, reusable tokens)` of every listed endpoint, in order.
pub(crate) fn named(answer: &ScoreAnswer) -> Vec<(String, u32)> {
    let endpoints = answer.endpoints.iter();
    endpoints
        .map(|of| (of.publisher.to_string(), of.reusable_tokens))
        .collect()
}
