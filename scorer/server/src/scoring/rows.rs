//! From holders to endpoints: names, scores, order.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use proto_api::{EndpointScore, KeyProfile};
use proto_model::{Incarnation, KeySpace, Medium, Publisher, PublisherStatus, Timestamp, Trust};

use super::candidates::CandidateSet;
use super::held::Held;
use super::lookup::Found;
use super::merge::{self, Best};
use super::{Target, Weights};
use crate::replica::{Directory, KnownPublisher};

/// One endpoint and rank of an outcome.
#[derive(Debug, Clone)]
pub struct Row {
    /// Who.
    pub publisher: Arc<Publisher>,
    /// What it holds; `None`: nothing of this prompt.
    pub(crate) held: Option<Held>,
    /// Where it stands; `None` until the store has said, and where only routing
    /// decisions are asked.
    pub(crate) status: Option<Standing>,
    /// How its blocks are cut; those of its match, if there is one.
    pub(crate) cut: Option<Cut>,
    /// Weighted reusable tokens over the prompt's tokens.
    pub(crate) score: f64,
}

/// How prompts are cut into blocks, and what the blocks' keys are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) profile: KeyProfile,
    /// Tokens per block, or bytes of text.
    pub(crate) block_size: u32,
}

impl From<&KeySpace> for Cut {
    fn from(space: &KeySpace) -> Self {
        Self {
            profile: space.profile.into(),
            block_size: space.block_size,
        }
    }
}

/// The part of a publisher's status that answers carry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    trust: Trust,
    incarnation: Incarnation,
    last_event: Timestamp,
}

impl From<&PublisherStatus> for Standing {
    fn from(status: &PublisherStatus) -> Self {
        Self {
            trust: status.cursor.trust,
            incarnation: status.cursor.incarnation,
            last_event: status.cursor.timestamp,
        }
    }
}

impl Row {
    /// Tokens per block; 0 if it has never stored any of this model, and others
    /// do not agree on one.
    #[must_use]
    pub fn block_size(&self) -> u32 {
        self.cut.map_or(0, |cut| cut.block_size)
    }

    /// Blocks there without a hole from the first on.
    #[must_use]
    pub fn matched_blocks(&self) -> u32 {
        self.held.map_or(0, |held| held.matched)
    }

    /// Blocks of which every one lies on `medium` or a faster one.
    #[must_use]
    pub fn blocks_within(&self, medium: Medium) -> u32 {
        self.held.map_or(0, |held| held.within[medium as usize])
    }

    /// Matched blocks whose fastest medium is this one.
    #[must_use]
    pub fn blocks_on(&self, medium: Medium) -> u32 {
        self.held.map_or(0, |held| held.on[medium as usize])
    }

    /// Tokens that the engine will not compute again.
    #[must_use]
    pub fn reusable_tokens(&self) -> u32 {
        let blocks = self.held.map_or(0, |held| held.reusable);
        blocks.saturating_mul(self.block_size())
    }

    /// The row as an answer lists it.
    #[must_use]
    pub fn to_score(&self) -> EndpointScore {
        let block_size = self.block_size();
        let tokens = |blocks: u32| blocks.saturating_mul(block_size);
        let held = self.held.unwrap_or_default();
        EndpointScore {
            publisher: (*self.publisher).clone(),
            matched_blocks: self.matched_blocks(),
            reusable_tokens: self.reusable_tokens(),
            by_medium: held.reusable_on.map(tokens),
            score: self.score,
            // Nothing is known of it yet, which is less than any trust.
            trust: self.status.map_or(Trust::Estimated, |status| status.trust),
            incarnation: self
                .status
                .map_or(Incarnation(0), |status| status.incarnation),
            block_size,
            profile: self.cut.map_or(KeyProfile::Content, |cut| cut.profile),
            last_event: self.status.map_or(Timestamp(0), |status| status.last_event),
            speculative_tokens: tokens(held.speculative),
        }
    }

    /// Takes back that it holds anything.
    pub(crate) fn forget(&mut self) {
        self.held = None;
        self.score = 0.0;
    }

    /// Believes the row's publisher no more than `most`.
    pub(crate) fn cap_trust(&mut self, most: Trust) {
        if let Some(status) = &mut self.status {
            status.trust = status.trust.min(most);
        }
    }

    fn of(known: &KnownPublisher, cut: Option<Cut>) -> Self {
        Self {
            publisher: Arc::clone(&known.name),
            held: None,
            status: known.status.as_ref().map(Standing::from),
            cut,
            score: 0.0,
        }
    }

    /// A row of guesses from the prompt's text.
    pub(crate) fn of_text(known: &KnownPublisher, cut: Cut, blocks: u32, of: u32) -> Self {
        Self {
            publisher: Arc::clone(&known.name),
            held: (blocks > 0).then(|| Held::of_text(blocks)),
            status: None,
            cut: Some(cut),
            score: (f64::from(blocks) / f64::from(of.max(1))).clamp(0.0, 1.0),
        }
    }
}

/// How long the prompt is, and what its tokens are worth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure<'a> {
    pub(crate) weights: &'a Weights,
    /// Tokens of the whole prompt, if known.
    pub(crate) prompt_tokens: Option<u32>,
    /// Keys that were given instead.
    pub(crate) keys: u32,
    /// Whether the prompt was looked up under one plan only.
    pub(crate) one_plan: bool,
}

impl Measure<'_> {
    /// Weighted reusable tokens over the prompt's tokens.
    fn score(&self, held: &Held, block_size: u32) -> f64 {
        let size = f64::from(block_size);
        let prompt = match self.prompt_tokens {
            Some(tokens) => f64::from(tokens),
            None => f64::from(self.keys) * size,
        };
        let weighted =
            |medium| self.weights.get(medium) * f64::from(held.reusable_on[medium as usize]) * size;
        let sum: f64 = Medium::ALL.into_iter().map(weighted).sum();
        (sum / prompt.max(1.0)).clamp(0.0, 1.0)
    }
}

/// The rows of everybody who matched, each once. A holder that the directory does
/// not know has ended since the lookup, and counts no more; estimates never do.
pub(crate) fn matched(directory: &Directory, found: &[Found], measure: &Measure<'_>) -> Vec<Row> {
    let row = |best: Best<'_>| {
        let cut = Cut::from(&*best.space);
        Row {
            held: Some(best.held),
            score: measure.score(&best.held, cut.block_size),
            ..Row::of(best.known, Some(cut))
        }
    };
    let best = merge::best_of_each(directory, found, measure.one_plan);
    best.into_iter().map(row).collect()
}

/// Those who hold nothing: of the candidates, or of all who serve the model.
pub(crate) struct Unmatched<'a> {
    pub(crate) target: &'a Target<'a>,
    /// How the model's prompts are cut, if all its endpoints agree: who has
    /// stored nothing yet will most likely do the same.
    pub(crate) only_cut: Option<Cut>,
    pub(crate) candidates: &'a CandidateSet<'a>,
    /// Marks of the candidates that are known; whoever matched is, even if only
    /// by a routing decision.
    pub(crate) seen: &'a mut [bool],
}

impl Unmatched<'_> {
    /// Appends them, and marks candidates.
    pub(crate) fn add(&mut self, directory: &Directory, rows: &mut Vec<Row>) {
        for row in rows.iter().filter(|row| row.status.is_none()) {
            self.mark(&row.publisher);
        }
        let listed: HashSet<*const Publisher> =
            rows.iter().map(|row| Arc::as_ptr(&row.publisher)).collect();
        let model = &self.target.model;
        for known in self.candidates.known(directory) {
            if !serves(known, model) {
                continue;
            }
            let named = self.mark(&known.name) || self.candidates.is_all();
            if named && !listed.contains(&Arc::as_ptr(&known.name)) {
                let space = known.spaces.iter().find(|space| space.model == *model);
                let cut = space.map(|space| Cut::from(&**space)).or(self.only_cut);
                rows.push(Row::of(known, cut));
            }
        }
    }

    /// Marks the candidates that name the publisher; whether there are any.
    fn mark(&mut self, publisher: &Publisher) -> bool {
        let mut named = false;
        for index in self.candidates.naming(publisher) {
            self.seen[index] = true;
            named = true;
        }
        named
    }
}

/// Whether the publisher serves the model, or has stored blocks of it.
pub(crate) fn serves(known: &KnownPublisher, model: &str) -> bool {
    known.model() == model || known.spaces.iter().any(|space| space.model == model)
}

/// Best first; equals by name, so that answers do not depend on chance.
pub(crate) fn sort(rows: &mut [Row]) {
    let tokens = |row: &Row| u64::from(row.matched_blocks()) * u64::from(row.block_size());
    // Those who hold nothing come in order already, which a stable sort finds.
    rows.sort_by(|a, b| {
        let score = b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal);
        score
            .then_with(|| tokens(b).cmp(&tokens(a)))
            .then_with(|| a.publisher.cmp(&b.publisher))
    });
}
