//! From a query to an outcome. No network, no clock, no locks across a wait.
//!
//! ```text
//!  query ─ parse ─ resolve model ─ tokenise ─┬─ space 1: keys ─ lookup ─┐
//!                                            └─ space 2: keys ─ lookup ─┴─ rows, best first
//! ```
//! Each lookup is one per store that is followed.

mod candidates;
mod error;
mod estimate;
mod held;
mod key_cache;
mod keys;
mod lookup;
mod merge;
mod route_keys;
mod rows;
mod shared_addresses;
mod shared_names;
mod target;
mod view;
mod warnings;
mod weights;

pub use error::ScoreError;
pub use key_cache::{KeyCache, KeyCacheStats};
pub use rows::Row;
pub use weights::{WeightError, Weights};

pub(crate) use candidates::CandidateSet;
pub(crate) use keys::{Prepared, TokenPrompt};
use route_keys::RouteKeyLists;
pub(crate) use rows::serves;
use rows::{Cut, Measure};
pub(crate) use shared_addresses::SharedAddresses;
pub(crate) use target::Target;
pub(crate) use view::{Directories, View};
pub(crate) use warnings::Warnings;

use std::sync::Arc;

use prometheus_client::registry::Registry;
use proto_api::{Input, ReplicaState, RouteKeys, ScoreAnswer, ScoreQuery, StoreStanding, limits};
use proto_model::{Revision, TokenId, Trust};
use scorer_index::HolderFilter;

use crate::metrics::CacheCollector;
use crate::models::ModelCatalog;
use crate::prompts::Prompts;
use crate::replica::{Content, Directory, Replicas};

/// What answers queries, apart from sockets and threads.
#[derive(Debug)]
pub struct Scoring {
    replicas: Replicas,
    catalog: Arc<ModelCatalog>,
    prompts: Prompts,
    key_cache: Arc<KeyCache>,
    weights: Weights,
}

/// The result of one query.
#[derive(Debug)]
pub struct Outcome {
    /// The base model.
    pub model: String,
    /// The adapter, if any.
    pub lora: Option<String>,
    /// Tokens of the whole prompt, if known.
    pub prompt_tokens: Option<u32>,
    /// Best first.
    pub rows: Vec<Row>,
    /// Everything up to here is counted; 0 where several stores are followed.
    pub revision: Revision,
    /// Milliseconds since the store was last heard; of several, the longest.
    pub age_ms: u64,
    /// Where the replica stands; of several, stale unless all are live.
    pub state: ReplicaState,
    /// Each store, where several are followed; else empty.
    pub stores: Vec<StoreStanding>,
    /// What the caller should know.
    pub warnings: Vec<String>,
    /// Candidates not known as serving the model.
    pub unknown_candidates: Vec<String>,
    /// The prompt's token ids, if they were asked for.
    pub token_ids: Vec<TokenId>,
    /// The prompt's keys, if they were asked for.
    pub route_keys: Vec<RouteKeys>,
    /// Estimation: whole blocks of the prompt's text; else 0.
    pub prompt_blocks: u32,
}

impl Outcome {
    /// The outcome as the API answers it.
    #[must_use]
    pub fn into_answer(self) -> ScoreAnswer {
        ScoreAnswer {
            endpoints: self.rows.iter().map(Row::to_score).collect(),
            model: self.model,
            lora: self.lora,
            prompt_tokens: self.prompt_tokens,
            revision: self.revision,
            age_ms: self.age_ms,
            state: self.state,
            stores: self.stores,
            warnings: self.warnings,
            unknown_candidates: self.unknown_candidates,
            token_ids: self.token_ids,
            route_keys: self.route_keys,
            prompt_blocks: self.prompt_blocks,
        }
    }
}

impl Scoring {
    /// Scoring on a replica, or on those of several stores.
    #[must_use]
    pub fn new(
        replicas: impl Into<Replicas>,
        catalog: Arc<ModelCatalog>,
        prompts: Prompts,
        weights: Weights,
    ) -> Self {
        Self {
            replicas: replicas.into(),
            catalog,
            prompts,
            key_cache: Arc::new(KeyCache::new(0)),
            weights,
        }
    }

    /// Remembers engine hashes of prompts in at most so many bytes; 0: none.
    #[must_use]
    pub fn with_key_cache(mut self, bytes: usize) -> Self {
        self.key_cache = Arc::new(KeyCache::new(bytes));
        self
    }

    /// Adds the numbers of the caches to a registry, under
    /// `kvatlas_scorer_token_cache_` and `kvatlas_scorer_key_cache_`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(CacheCollector::new(&self.key_cache)));
        let tokens = CacheCollector::new(self.prompts.token_cache());
        registry.register_collector(Box::new(tokens));
    }

    /// The replicas that are asked.
    #[must_use]
    pub fn replicas(&self) -> &Replicas {
        &self.replicas
    }

    /// The configured models.
    #[must_use]
    pub fn catalog(&self) -> &ModelCatalog {
        &self.catalog
    }

    /// Whether text can be tokenised for the model without asking elsewhere.
    #[must_use]
    pub fn has_tokenizer(&self, model: &str) -> bool {
        let configured = self
            .catalog
            .find(model)
            .is_some_and(|(m, _)| m.config.source.is_some());
        configured || self.prompts.is_loaded(model)
    }

    /// The weights used where a query brings none.
    #[must_use]
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Answers a query. Computes, and may load a model's files: blocks.
    pub fn score(&self, mut query: ScoreQuery) -> Result<Outcome, ScoreError> {
        if !self.replicas.any_complete() {
            return Err(ScoreError::NotReady);
        }
        let input = std::mem::replace(&mut query.input, Input::Tokens(Vec::new()));
        if let Some(estimation) = query.estimation {
            return self.estimate(input, query, estimation);
        }
        let (target, prepared) = self.prepare(input, &mut query)?;
        self.look_up(&query, &target, &prepared)
    }

    /// Everything that needs the prompt's text.
    fn prepare(
        &self,
        input: Input,
        query: &mut ScoreQuery,
    ) -> Result<(Target<'_>, Prepared), ScoreError> {
        let view = View::of(&self.replicas);
        let resolve = |model: &str| {
            Target::resolve(
                &self.catalog,
                &view.directories(),
                model,
                query.lora.as_deref(),
            )
        };
        let parsed = match input {
            Input::Keys(keys) => return Ok((resolve(&query.model)?, Prepared::Keys(keys))),
            input => self.prompts.parse(input)?,
        };
        let Some(parsed) = parsed else {
            return Err(ScoreError::ModelMissing);
        };
        let target = match query.model.as_str() {
            "" => resolve(parsed.model().unwrap_or_default())?,
            model => resolve(model)?,
        };
        let salt = query.salt.take().or_else(|| parsed.salt().cloned());
        let ids = self
            .prompts
            .tokenize(&target.model, parsed, salt.as_ref())?;
        if ids.len() > limits::TOKENS {
            return Err(ScoreError::TooManyTokens(ids.len()));
        }
        let items = std::mem::take(&mut query.items);
        Ok((target, Prepared::Tokens(TokenPrompt { ids, salt, items })))
    }

    /// Everything that needs the indexes.
    fn look_up(
        &self,
        query: &ScoreQuery,
        target: &Target<'_>,
        prepared: &Prepared,
    ) -> Result<Outcome, ScoreError> {
        let view = View::of(&self.replicas);
        let candidates = CandidateSet::new(&query.candidates);
        let mut warnings = Warnings::default();
        view.warn(&mut warnings);
        let (mut spaces, asked) = {
            let directories = view.directories();
            let asked = view.contents().iter().zip(directories.iter());
            let asked = asked.map(|(content, directory)| lookup::Asked {
                index: content.index(),
                filter: (!candidates.is_all()).then(|| filter(directory, target, &candidates)),
            });
            (target.spaces(&directories), asked.collect::<Vec<_>>())
        };
        target.warn(&spaces, &mut warnings);
        if spaces.is_empty() && matches!(prepared, Prepared::Tokens(_)) {
            // Routes may have been recorded, and may be, before any event.
            spaces.extend(target.configured_space());
        }
        let plans = keys::plans(target, &spaces, prepared)?;
        let mut lists = RouteKeyLists::default();
        let route_keys = query.include_route_keys.then_some(&mut lists);
        let source = keys::Source {
            target,
            prepared,
            cache: &self.key_cache,
        };
        let found = lookup::lookup(&asked, &plans, &source, route_keys, &mut warnings);
        let weights = self.weights.overridden(&query.weights);
        let listing = Listing {
            target,
            measure: Measure {
                weights: &weights,
                prompt_tokens: prepared.prompt_tokens(),
                keys: prepared.keys(),
                one_plan: plans.len() <= 1,
            },
            only_cut: only_cut(&plans),
            candidates: &candidates,
            unmatched: query.include_unmatched || !candidates.is_all(),
        };
        let mut seen = vec![false; candidates.len()];
        let mut rows = Vec::new();
        for (content, found) in view.contents().iter().zip(found) {
            rows.extend(listing.rows(content, &found, &mut seen, &mut warnings));
        }
        if self.replicas.may_share_names() {
            shared_names::settle(&view.directories(), &mut rows, &mut warnings);
        }
        rows::sort(&mut rows);
        rows.truncate(
            query
                .limit
                .unwrap_or(limits::ENDPOINTS)
                .min(limits::ENDPOINTS),
        );
        let standing = view.into_standing();
        Ok(Outcome {
            model: target.model.clone(),
            lora: target.lora.as_ref().map(|lora| lora.name.clone()),
            prompt_tokens: prepared.prompt_tokens(),
            rows,
            revision: standing.revision,
            age_ms: standing.age_ms,
            state: standing.state,
            stores: standing.stores,
            warnings: warnings.into_texts(),
            unknown_candidates: candidates.unseen(&seen),
            token_ids: match prepared {
                Prepared::Tokens(prompt) if query.include_token_ids => prompt.ids.clone(),
                _ => Vec::new(),
            },
            route_keys: lists.into_lists(),
            prompt_blocks: 0,
        })
    }
}

fn only_cut(plans: &[keys::Plan]) -> Option<Cut> {
    let mut cuts = plans.iter().map(|plan| Cut::from(&*plan.space));
    let first = cuts.next()?;
    cuts.all(|cut| cut == first).then_some(first)
}

/// The holders that the candidates name. Of whom only routes are known, not the
/// model either: keys tell.
fn filter(
    directory: &Directory,
    target: &Target<'_>,
    candidates: &CandidateSet<'_>,
) -> HolderFilter {
    let named = candidates.known(directory).into_iter();
    named
        .filter(|known| known.is_routed_only() || serves(known, &target.model))
        .flat_map(|known| [known.holder, known.speculative])
        .flatten()
        .collect()
}

/// What of one store's content is listed, and how it is counted.
struct Listing<'a> {
    target: &'a Target<'a>,
    measure: Measure<'a>,
    /// How the model's prompts are cut, if all its endpoints agree.
    only_cut: Option<Cut>,
    candidates: &'a CandidateSet<'a>,
    /// Whether those who hold nothing are listed, too.
    unmatched: bool,
}

impl Listing<'_> {
    /// Names and scores, in no order. Marks the candidates that are known.
    fn rows(
        &self,
        content: &Content,
        found: &[lookup::Found],
        seen: &mut [bool],
        warnings: &mut Warnings,
    ) -> Vec<Row> {
        let directory = content.directory();
        let mut rows = rows::matched(&directory, found, &self.measure);
        if self.unmatched {
            let mut listed = rows::Unmatched {
                target: self.target,
                only_cut: self.only_cut,
                candidates: self.candidates,
                seen,
            };
            listed.add(&directory, &mut rows);
        }
        if content.is_short() {
            warnings.push("the index has reached its memory limit; matches may be short");
            rows.iter_mut()
                .for_each(|row| row.cap_trust(Trust::Suspect));
        }
        rows
    }
}
