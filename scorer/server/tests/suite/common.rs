//! A scorer on an embedded store, fed by hand.

pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod routes;
pub(crate) mod several;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indexer_store::{EmbeddedOptions, EmbeddedStore, IndexWatch, IndexWriter};
use parking_lot::Mutex;
use proto_api::{Failure, Input, ScoreAnswer, ScoreQuery};
use proto_model::{
    Batch, Change, Command, ContentChain, Endpoint, EngineHash, EventsCommand, ExtraKey, Extras,
    KeySpace, LocalHash, Medium, Message, Outcome, Profile, Publisher, Rank, Revision, StoredBlock,
    Timestamp,
};
use scorer_index::IndexLimits;
use scorer_prompt::{
    LibraryConfig, ModelLibrary, ModelLocation, ModelOptions, ModelSource, RequestLimits, Unlisted,
};
use scorer_server::{
    FollowSettings, ModelCatalog, ModelsConfig, Prompts, Replica, Rpc, Scorer, ScorerLimits,
    ScorerMetrics, Scoring, Weights,
};
use tokio_util::sync::CancellationToken;

pub(crate) struct World {
    pub(crate) store: Arc<EmbeddedStore>,
    pub(crate) scorer: Arc<Scorer>,
    pub(crate) metrics: ScorerMetrics,
    pub(crate) stop: CancellationToken,
    sequences: Mutex<HashMap<Publisher, u64>>,
    clock: AtomicU64,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn publisher(address: &str, rank: u32) -> Publisher {
    let endpoint: Endpoint = address.parse().expect("test address");
    Publisher {
        endpoint,
        rank: Rank(rank),
    }
}

pub(crate) fn space(model: &str, lora: Option<&str>, block_size: u32) -> KeySpace {
    KeySpace {
        profile: Profile::Content,
        model: model.to_owned(),
        lora: lora.map(str::to_owned),
        block_size,
        extras: Extras::Published,
    }
}

/// Tokens that differ by `seed`.
pub(crate) fn tokens(seed: u32, count: u32) -> Vec<u32> {
    (0..count).map(|n| seed * 100_000 + n).collect()
}

/// The run of a prompt's full blocks, without extra keys.
pub(crate) fn stored(space: &KeySpace, tokens: &[u32], medium: Medium) -> Change {
    stored_with(space, tokens, medium, &|_| Vec::new())
}

/// The run of a prompt's full blocks; the engine's hash is our chain value.
pub(crate) fn stored_with(
    space: &KeySpace,
    tokens: &[u32],
    medium: Medium,
    extras: &dyn Fn(usize) -> Vec<ExtraKey>,
) -> Change {
    let mut chain = ContentChain::root();
    let scope = space.scope().0;
    let chunks = tokens.chunks_exact(space.block_size as usize).enumerate();
    let blocks = chunks.map(|(index, chunk)| {
        let local = LocalHash::of(chunk, &extras(index));
        StoredBlock {
            hash: EngineHash(chain.push(local) ^ scope),
            local,
        }
    });
    Change::Stored {
        space: 0,
        medium,
        group: 0,
        parent: None,
        blocks: blocks.collect(),
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(ModelsConfig::default(), ScorerLimits::default()).await
    }

    pub(crate) async fn with(config: ModelsConfig, limits: ScorerLimits) -> Self {
        let world = Self::unfollowed(config, limits);
        world.follow();
        world
            .scorer
            .scoring()
            .replicas()
            .first()
            .reached(Revision(0))
            .await;
        world
    }

    /// A world whose replica has not heard of its store.
    pub(crate) fn unfollowed(config: ModelsConfig, limits: ScorerLimits) -> Self {
        Self::sized(config, limits, IndexLimits::default())
    }

    /// A world without a follower, and with an index of the given size.
    pub(crate) fn sized(config: ModelsConfig, limits: ScorerLimits, index: IndexLimits) -> Self {
        let store = Arc::new(EmbeddedStore::in_memory(EmbeddedOptions::default()));
        let replica = Replica::new(index, FollowSettings::default());
        let library = LibraryConfig {
            unlisted: Unlisted::Refuse,
            ..LibraryConfig::default()
        };
        let library = Arc::new(ModelLibrary::new(config.with_sources(library)));
        let catalog = Arc::new(ModelCatalog::new(config).expect("valid test models"));
        let prompts = Prompts::new(library, RequestLimits::default());
        let scoring = Scoring::new(replica, catalog, prompts, Weights::default());
        let metrics = ScorerMetrics::default();
        Self {
            store,
            scorer: Scorer::new(scoring, limits, metrics.clone()),
            metrics,
            stop: CancellationToken::new(),
            sequences: Mutex::default(),
            clock: AtomicU64::new(1),
        }
    }

    pub(crate) fn follow(&self) {
        let replica = Arc::clone(self.scorer.scoring().replicas().first());
        let store = Arc::clone(&self.store);
        let watch: Arc<dyn IndexWatch> = store;
        tokio::spawn(replica.follow(watch, self.stop.clone()));
    }

    /// Appends a publisher's next message, and waits until answers count it.
    pub(crate) async fn publish(
        &self,
        publisher: &Publisher,
        space: &KeySpace,
        changes: Vec<Change>,
    ) {
        let sequence = {
            let mut sequences = self.sequences.lock();
            let next = sequences.entry(publisher.clone()).or_default();
            *next += 1;
            *next - 1
        };
        self.publish_at(publisher, space, sequence, changes).await;
    }

    pub(crate) async fn publish_at(
        &self,
        publisher: &Publisher,
        space: &KeySpace,
        sequence: u64,
        changes: Vec<Change>,
    ) -> Outcome {
        let timestamp = Timestamp(self.clock.fetch_add(1, Ordering::Relaxed));
        let message = Message {
            sequence,
            timestamp,
            stream: None,
            changes,
        };
        self.append(Command::Events(EventsCommand {
            publisher: publisher.clone(),
            model: space.model.clone(),
            spaces: vec![space.clone()],
            messages: vec![message],
        }))
        .await
    }

    pub(crate) async fn append(&self, command: Command) -> Outcome {
        let appended = self
            .store
            .append(&Batch {
                commands: vec![command],
            })
            .await;
        let appended = appended.expect("embedded append");
        self.scorer
            .scoring()
            .replicas()
            .first()
            .reached(appended.revision)
            .await;
        appended.outcomes[0]
    }

    pub(crate) async fn score(&self, query: ScoreQuery) -> Result<ScoreAnswer, Failure> {
        let outcome = self.scorer.score(Rpc::Score, Ok(query), None).await;
        outcome.map(scorer_server::Outcome::into_answer)
    }

    pub(crate) async fn score_tokens(&self, model: &str, tokens: Vec<u32>) -> ScoreAnswer {
        self.score(ScoreQuery::new(model, Input::Tokens(tokens)))
            .await
            .expect("an answer")
    }
}

/// The recorded engines' model, with its tokenizer and chat template.
pub(crate) fn recorded_model() -> ModelSource {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vllm/model");
    ModelSource {
        location: ModelLocation::Directory(PathBuf::from(path)),
        options: ModelOptions::default(),
    }
}

/// `(address#rank, reusable tokens)` of every listed endpoint, in order.
pub(crate) fn reusable(answer: &ScoreAnswer) -> Vec<(String, u32)> {
    let name = |p: &Publisher| format!("{}#{}", p.endpoint.address(), p.rank.0);
    answer
        .endpoints
        .iter()
        .map(|e| (name(&e.publisher), e.reusable_tokens))
        .collect()
}
