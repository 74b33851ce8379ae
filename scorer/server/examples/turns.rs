//! Measures what a conversation's next turn costs a scorer, beside one that it never
//! saw: from the request's body to the answer, and step by step.
//!
//! `cargo run --release -p scorer-server --example turns [-- --json] [--model DIRECTORY]`
//!
//! Each conversation is made up anew, asked about once (cold), grown by about 100
//! tokens, and asked about again (warm). One of 64 endpoints holds what was asked
//! first. The steps are done once more by hand, with a cache of their own; `full` is
//! the tokenizer without any.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

#[path = "turns/conversation.rs"]
mod conversation;
#[path = "turns/report.rs"]
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use indexer_store::{EmbeddedOptions, EmbeddedStore, IndexWatch, IndexWriter};
use proto_api::{Input, ScoreQuery};
use proto_model::{
    Batch, Change, Command, ContentChain, Coverage, EngineHash, EventsCommand, Extras, ItemForm,
    KeySpace, LocalHash, Medium, Message, Profile, PromptContext, Publisher, Rank, Revision,
    StoredBlock, Timestamp, content_keys,
};
use scorer_index::IndexLimits;
use scorer_prompt::{
    ChatRequest, LibraryConfig, Model, ModelLibrary, ModelLocation, ModelOptions, ModelSource,
    RequestLimits, TokenCache, TokenizeOptions, Unlisted,
};
use scorer_server::{
    FollowSettings, ModelCatalog, ModelConfig, ModelsConfig, Prompts, Replica, Rpc, Scorer,
    ScorerLimits, ScorerMetrics, Scoring, Weights,
};
use tokio_util::sync::CancellationToken;

use conversation::{Conversation, Shape};
use report::{Row, Step};

const MODEL: &str = "m";
const TOKENS: [usize; 3] = [1_000, 7_200, 32_000];
const GROWTH: usize = 100;
const ROUNDS: usize = 40;
const BLOCK: u32 = 16;

struct Bench {
    store: Arc<EmbeddedStore>,
    scorer: Arc<Scorer>,
    /// Of the steps by hand.
    cache: Arc<TokenCache>,
    model: Model,
    space: KeySpace,
    published: u64,
}

impl Bench {
    async fn start(directory: PathBuf, stop: &CancellationToken) -> Self {
        let store = Arc::new(EmbeddedStore::in_memory(EmbeddedOptions::default()));
        let replica = Replica::new(IndexLimits::default(), FollowSettings::default());
        let watch: Arc<dyn IndexWatch> = Arc::clone(&store) as _;
        tokio::spawn(Arc::clone(&replica).follow(watch, stop.clone()));
        replica.reached(Revision(0)).await;
        let models = ModelsConfig {
            models: vec![ModelConfig {
                name: MODEL.to_owned(),
                source: Some(ModelSource {
                    location: ModelLocation::Directory(directory.clone()),
                    options: ModelOptions::default(),
                }),
                ..ModelConfig::default()
            }],
        };
        let library = LibraryConfig {
            unlisted: Unlisted::Refuse,
            ..LibraryConfig::default()
        };
        let library = Arc::new(ModelLibrary::new(models.with_sources(library)));
        let prompts = Prompts::new(library, RequestLimits::default());
        let catalog = Arc::new(ModelCatalog::new(models).expect("valid models"));
        let scoring = Scoring::new(replica, catalog, prompts, Weights::default());
        let cache = Arc::new(TokenCache::new(256 << 20));
        let options = ModelOptions {
            token_cache: Some(Arc::clone(&cache)),
            ..ModelOptions::default()
        };
        Self {
            store,
            cache,
            scorer: Scorer::new(scoring, ScorerLimits::default(), ScorerMetrics::default()),
            model: Model::from_directory(MODEL, &directory, options).expect("a model"),
            space: KeySpace {
                profile: Profile::Content,
                model: MODEL.to_owned(),
                lora: None,
                block_size: BLOCK,
                extras: Extras::Published,
            },
            published: 0,
        }
    }

    /// Has one endpoint announce the blocks of a prompt.
    async fn publish(&mut self, tokens: &[u32]) {
        let mut chain = ContentChain::root();
        let scope = self.space.scope().0;
        let blocks = tokens.chunks_exact(BLOCK as usize).map(|block| {
            let local = LocalHash::of(block, &[]);
            let hash = EngineHash(chain.push(local) ^ scope);
            StoredBlock { hash, local }
        });
        let stored = Change::Stored {
            space: 0,
            medium: Medium::Gpu,
            group: 0,
            parent: None,
            blocks: blocks.collect(),
        };
        let (turn, endpoint) = (self.published / 64, self.published % 64);
        self.published += 1;
        let address = format!("default/10.0.0.{endpoint}:8000");
        let command = Command::Events(EventsCommand {
            publisher: Publisher {
                endpoint: address.parse().expect("an address"),
                rank: Rank(0),
            },
            model: MODEL.to_owned(),
            spaces: vec![self.space.clone()],
            messages: vec![Message {
                sequence: turn,
                timestamp: Timestamp(turn + 1),
                stream: None,
                changes: vec![stored],
            }],
        });
        let batch = Batch {
            commands: vec![command],
        };
        let appended = self.store.append(&batch).await.expect("appended");
        let replicas = self.scorer.scoring().replicas();
        replicas.first().reached(appended.revision).await;
    }

    /// One question about a body, as it comes: the time it takes and how many of
    /// the prompt's tokens the best endpoint holds.
    async fn ask(&self, body: &str, times: &mut Step) -> u32 {
        let query = ScoreQuery::new(MODEL, Input::Chat(body.to_owned().into()));
        let start = Instant::now();
        let outcome = self.scorer.score(Rpc::Score, Ok(query), None).await;
        times.add("score", start.elapsed());
        let rows = outcome.expect("an answer").rows;
        rows.iter()
            .map(|row| row.reusable_tokens())
            .max()
            .unwrap_or(0)
    }

    /// The same steps by hand. Gives the token ids.
    fn steps(&self, body: &str, times: &mut Step) -> Vec<u32> {
        let mut timed = Timed(times, Instant::now());
        let request = ChatRequest::parse(body.as_bytes(), &RequestLimits::default());
        timed.done("parse");
        let text = self.model.render(request.expect("a body"));
        timed.done("render");
        let text = text.expect("a prompt");
        let options = TokenizeOptions {
            add_special_tokens: false,
            truncate: None,
            truncate_right: false,
        };
        let ids = self.model.tokenize(&text, options, None);
        timed.done("tokenise");
        let ids = ids.expect("token ids");
        let context = PromptContext {
            lora: None,
            items: &[],
            salt: None,
            embeds: &[],
        };
        let mut keys = Vec::new();
        let coverage = content_keys(
            &self.space,
            ItemForm::default(),
            None,
            &ids,
            &context,
            &mut keys,
        );
        assert_eq!(coverage, Coverage::Complete, "a plain prompt");
        timed.done("keys");
        let full = self.model.tokenize_in_full(&text, options);
        timed.done("full");
        assert_eq!(ids, full.expect("token ids"), "the cache changed token ids");
        ids
    }

    async fn measure(&mut self, shape: Shape, tokens: usize, per_word: f64) -> Row {
        let words = |tokens: usize| (tokens as f64 / per_word) as usize;
        let (mut cold, mut warm) = (Step::default(), Step::default());
        let (mut asked, mut remembered) = (0, 0);
        for _ in 0..ROUNDS {
            let seed = self.published << 8 | 1;
            let mut conversation = Conversation::new(shape, seed, words(tokens - GROWTH));
            let body = conversation.body();
            self.ask(&body, &mut cold).await;
            let before = self.cache.stats().bytes;
            let first = self.steps(&body, &mut cold);
            remembered = self.cache.stats().bytes.saturating_sub(before);
            self.publish(&first).await;
            conversation.grow(words(GROWTH));
            let body = conversation.body();
            let held = self.ask(&body, &mut warm).await;
            // Where a message goes on, its end was not seen before.
            let least = first.len().saturating_sub(2 * BLOCK as usize);
            assert!(held as usize >= least, "{held} of {} held", first.len());
            asked = self.steps(&body, &mut warm).len();
        }
        Row {
            shape: shape.name(),
            tokens: asked,
            remembered,
            cold,
            warm,
        }
    }

    /// Tokens per word of the made-up texts, with this tokenizer.
    fn per_word(&self) -> f64 {
        let body = Conversation::new(Shape::Turns, 0, 4_000).body();
        self.steps(&body, &mut Step::default()).len() as f64 / 4_000.0
    }
}

struct Timed<'a>(&'a mut Step, Instant);

impl Timed<'_> {
    fn done(&mut self, step: &'static str) {
        self.0.add(step, self.1.elapsed());
        self.1 = Instant::now();
    }
}

fn arguments() -> (PathBuf, bool) {
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vllm/model");
    let (mut directory, mut json) = (PathBuf::from(recorded), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = true,
            "--model" => directory = arguments.next().expect("--model DIRECTORY").into(),
            other => panic!("{other}: --json and --model DIRECTORY are known"),
        }
    }
    (directory, json)
}

#[tokio::main]
async fn main() {
    let (directory, json) = arguments();
    let stop = CancellationToken::new();
    let mut bench = Bench::start(directory, &stop).await;
    let per_word = bench.per_word();
    let mut rows = Vec::new();
    for shape in [Shape::Turns, Shape::Document] {
        for tokens in TOKENS {
            rows.push(bench.measure(shape, tokens, per_word).await);
        }
    }
    if json {
        println!("{}", report::json(&rows));
    } else {
        println!("{}: {}", MODEL, bench.model.token_reuse());
        report::print(&rows);
    }
    stop.cancel();
}
