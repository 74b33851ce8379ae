//! From a query to an outcome. No network, no clock, no locks across a wait.
//!
//! ```text
//!  query ─ parse ─ resolve model ─ tokenise ─┬─ space 1: keys ─ lookup ─┐
//!                                            └─ space 2: keys ─ lookup ─┴─ rows, best first
//! ```

mod candidates;
mod error;
mod keys;
mod lookup;
mod rows;
mod target;
mod warnings;
mod weights;

pub use error::ScoreError;
pub use rows::Row;
pub use weights::{WeightError, Weights};

pub(crate) use candidates::CandidateSet;
pub(crate) use keys::{Prepared, TokenPrompt};
pub(crate) use rows::serves;
pub(crate) use target::Target;
pub(crate) use warnings::Warnings;

use std::sync::Arc;

use proto_api::{Input, ReplicaState, ScoreAnswer, ScoreQuery, limits};
use proto_model::{Revision, TokenId, Trust};
use scorer_index::HolderFilter;

use crate::models::ModelCatalog;
use crate::prompts::Prompts;
use crate::replica::{Content, Directory, Replica};

/// What answers queries, apart from sockets and threads.
#[derive(Debug)]
pub struct Scoring {
    replica: Arc<Replica>,
    catalog: Arc<ModelCatalog>,
    prompts: Prompts,
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
    /// Everything up to here is counted.
    pub revision: Revision,
    /// Milliseconds since the store was last heard.
    pub age_ms: u64,
    /// Where the replica stands.
    pub state: ReplicaState,
    /// What the caller should know.
    pub warnings: Vec<String>,
    /// Candidates not known as serving the model.
    pub unknown_candidates: Vec<String>,
    /// The prompt's token ids, if they were asked for.
    pub token_ids: Vec<TokenId>,
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
            warnings: self.warnings,
            unknown_candidates: self.unknown_candidates,
            token_ids: self.token_ids,
        }
    }
}

impl Scoring {
    /// Scoring on a replica.
    #[must_use]
    pub fn new(
        replica: Arc<Replica>,
        catalog: Arc<ModelCatalog>,
        prompts: Prompts,
        weights: Weights,
    ) -> Self {
        Self {
            replica,
            catalog,
            prompts,
            weights,
        }
    }

    /// The replica that is asked.
    #[must_use]
    pub fn replica(&self) -> &Arc<Replica> {
        &self.replica
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
        if self.replica.state() == ReplicaState::Starting {
            return Err(ScoreError::NotReady);
        }
        let input = std::mem::replace(&mut query.input, Input::Tokens(Vec::new()));
        let (target, prepared) = self.prepare(input, &mut query)?;
        self.look_up(&query, &target, &prepared)
    }

    /// Everything that needs the prompt's text.
    fn prepare(
        &self,
        input: Input,
        query: &mut ScoreQuery,
    ) -> Result<(Target<'_>, Prepared), ScoreError> {
        let content = self.replica.content();
        let resolve = |model: &str| {
            Target::resolve(
                &self.catalog,
                &content.directory(),
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
        let ids = self.prompts.tokenize(&target.model, parsed)?;
        if ids.len() > limits::TOKENS {
            return Err(ScoreError::TooManyTokens(ids.len()));
        }
        let items = std::mem::take(&mut query.items);
        Ok((target, Prepared::Tokens(TokenPrompt { ids, salt, items })))
    }

    /// Everything that needs the index. The revision is read first: the answer
    /// may know more than it reports, never less.
    fn look_up(
        &self,
        query: &ScoreQuery,
        target: &Target<'_>,
        prepared: &Prepared,
    ) -> Result<Outcome, ScoreError> {
        let content = self.replica.content();
        let (revision, age_ms, state) = (
            content.revision(),
            self.replica.age_ms(),
            self.replica.state(),
        );
        let candidates = CandidateSet::new(&query.candidates);
        let mut warnings = Warnings::default();
        let (spaces, filter) = {
            let directory = content.directory();
            let filter = (!candidates.is_all()).then(|| filter(&directory, target, &candidates));
            (target.spaces(&directory), filter)
        };
        target.warn(&spaces, &mut warnings);
        let plans = keys::plans(target, &spaces, prepared)?;
        let index = content.index();
        let found = lookup::lookup(
            index,
            &plans,
            target,
            prepared,
            filter.as_ref(),
            &mut warnings,
        );
        let short = content.is_short();
        if short {
            warnings.push("the index has reached its memory limit; matches may be short");
        }
        let weights = self.weights.overridden(&query.weights);
        let (mut rows, unknown_candidates) = rows(
            &content,
            target,
            prepared,
            found,
            &weights,
            &candidates,
            query,
        );
        if short {
            rows.iter_mut()
                .for_each(|row| row.cap_trust(Trust::Suspect));
        }
        rows.truncate(
            query
                .limit
                .unwrap_or(limits::ENDPOINTS)
                .min(limits::ENDPOINTS),
        );
        Ok(Outcome {
            model: target.model.clone(),
            lora: target.lora.as_ref().map(|lora| lora.name.clone()),
            prompt_tokens: prepared.prompt_tokens(),
            rows,
            revision,
            age_ms,
            state,
            warnings: warnings.into_texts(),
            unknown_candidates,
            token_ids: match prepared {
                Prepared::Tokens(prompt) if query.include_token_ids => prompt.ids.clone(),
                _ => Vec::new(),
            },
        })
    }
}

/// The holders that the candidates name.
fn filter(
    directory: &Directory,
    target: &Target<'_>,
    candidates: &CandidateSet<'_>,
) -> HolderFilter {
    let named = directory.publishers().filter(|known| {
        serves(known, &target.model) && candidates.naming(&known.name).next().is_some()
    });
    named.filter_map(|known| known.holder).collect()
}

/// Names, scores and order; and the candidates that nobody answers to.
fn rows(
    content: &Content,
    target: &Target<'_>,
    prepared: &Prepared,
    found: Vec<lookup::Found>,
    weights: &Weights,
    candidates: &CandidateSet<'_>,
    query: &ScoreQuery,
) -> (Vec<Row>, Vec<String>) {
    let keys = match prepared {
        Prepared::Keys(keys) => u32::try_from(keys.values.len()).unwrap_or(u32::MAX),
        Prepared::Tokens(_) => 0,
    };
    let directory = content.directory();
    let mut rows = rows::matched(&directory, found, weights, prepared.prompt_tokens(), keys);
    let mut seen = vec![false; candidates.len()];
    if query.include_unmatched || !candidates.is_all() {
        rows::add_unmatched(&directory, target, candidates, &mut seen, &mut rows);
    }
    drop(directory);
    rows::sort(&mut rows);
    (rows, candidates.unseen(&seen))
}
