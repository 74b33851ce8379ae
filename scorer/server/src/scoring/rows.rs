//! From holders to endpoints: names, scores, order.

use std::cmp::Ordering;
use std::sync::Arc;

use proto_api::{EndpointScore, KeyProfile};
use proto_model::{Incarnation, KeySpace, Medium, Publisher, PublisherStatus, Timestamp, Trust};

use super::candidates::CandidateSet;
use super::lookup::Found;
use super::{Target, Weights};
use crate::replica::{Directory, KnownPublisher};

/// One endpoint and rank of an outcome.
#[derive(Debug, Clone)]
pub struct Row {
    /// Who.
    pub publisher: Arc<Publisher>,
    /// What it holds; `None`: nothing of this prompt.
    pub(crate) found: Option<Found>,
    /// Where it stands; `None` until the store has said.
    pub(crate) status: Option<Standing>,
    /// Block size and profile; those of its match, if there is one.
    pub(crate) space: Option<Arc<KeySpace>>,
    /// Weighted reusable tokens over the prompt's tokens.
    pub(crate) score: f64,
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
    /// Tokens per block; 0 if it has never stored any of this model.
    #[must_use]
    pub fn block_size(&self) -> u32 {
        self.space.as_ref().map_or(0, |space| space.block_size)
    }

    /// Blocks there without a hole from the first on.
    #[must_use]
    pub fn matched_blocks(&self) -> u32 {
        self.found.as_ref().map_or(0, |found| found.full.blocks)
    }

    /// Blocks of which every one lies on `medium` or a faster one.
    #[must_use]
    pub fn blocks_within(&self, medium: Medium) -> u32 {
        self.found
            .as_ref()
            .map_or(0, |found| found.full.prefix_within(medium))
    }

    /// Matched blocks whose fastest medium is this one.
    #[must_use]
    pub fn blocks_on(&self, medium: Medium) -> u32 {
        self.found
            .as_ref()
            .map_or(0, |found| found.full.fastest_on(medium))
    }

    /// Tokens that the engine will not compute again.
    #[must_use]
    pub fn reusable_tokens(&self) -> u32 {
        let blocks = self.found.as_ref().map_or(0, Found::reusable_blocks);
        blocks.saturating_mul(self.block_size())
    }

    /// The row as an answer lists it.
    #[must_use]
    pub fn to_score(&self) -> EndpointScore {
        let block_size = self.block_size();
        let tokens = |blocks: u32| blocks.saturating_mul(block_size);
        let on = |medium| {
            self.found
                .as_ref()
                .map_or(0, |found| tokens(found.reusable_on(medium)))
        };
        EndpointScore {
            publisher: (*self.publisher).clone(),
            matched_blocks: self.matched_blocks(),
            reusable_tokens: self.reusable_tokens(),
            by_medium: Medium::ALL.map(on),
            score: self.score,
            // Nothing is known of it yet, which is less than any trust.
            trust: self.status.map_or(Trust::Estimated, |status| status.trust),
            incarnation: self
                .status
                .map_or(Incarnation(0), |status| status.incarnation),
            block_size,
            profile: self
                .space
                .as_ref()
                .map_or(KeyProfile::Content, |space| space.profile.into()),
            last_event: self.status.map_or(Timestamp(0), |status| status.last_event),
            speculative_tokens: 0,
        }
    }

    /// Takes back that it holds anything.
    pub(crate) fn forget(&mut self) {
        self.found = None;
        self.score = 0.0;
    }

    /// Believes the row's publisher no more than `most`.
    pub(crate) fn cap_trust(&mut self, most: Trust) {
        if let Some(status) = &mut self.status {
            status.trust = status.trust.min(most);
        }
    }

    fn of(known: &KnownPublisher, space: Option<Arc<KeySpace>>) -> Self {
        Self {
            publisher: Arc::clone(&known.name),
            found: None,
            status: known.status.as_ref().map(Standing::from),
            space,
            score: 0.0,
        }
    }
}

/// The rows of everybody who matched. A holder that the directory does not know
/// has ended since the lookup, and counts no more.
pub(crate) fn matched(
    directory: &Directory,
    found: Vec<Found>,
    weights: &Weights,
    prompt_tokens: Option<u32>,
    keys: u32,
) -> Vec<Row> {
    let row = |found: Found| {
        let known = directory.holder(found.holder)?;
        let size = f64::from(found.space.block_size);
        let prompt = prompt_tokens
            .map_or_else(|| f64::from(keys) * size, f64::from)
            .max(1.0);
        let weighted = |medium| weights.get(medium) * f64::from(found.reusable_on(medium)) * size;
        let sum: f64 = Medium::ALL.into_iter().map(weighted).sum();
        let space = Some(Arc::clone(&found.space));
        let score = (sum / prompt).clamp(0.0, 1.0);
        Some(Row {
            found: Some(found),
            score,
            ..Row::of(known, space)
        })
    };
    found.into_iter().filter_map(row).collect()
}

/// Appends those who hold nothing: of the candidates, or of all who serve the
/// model. Marks the candidates that are known.
pub(crate) fn add_unmatched(
    directory: &Directory,
    target: &Target<'_>,
    candidates: &CandidateSet<'_>,
    seen: &mut [bool],
    rows: &mut Vec<Row>,
) {
    let listed: std::collections::HashSet<*const Publisher> =
        rows.iter().map(|row| Arc::as_ptr(&row.publisher)).collect();
    for known in directory
        .publishers()
        .filter(|known| serves(known, &target.model))
    {
        let mut named = candidates.is_all();
        for index in candidates.naming(&known.name) {
            seen[index] = true;
            named = true;
        }
        if named && !listed.contains(&Arc::as_ptr(&known.name)) {
            let space = known
                .spaces
                .iter()
                .find(|space| space.model == target.model);
            rows.push(Row::of(known, space.cloned()));
        }
    }
}

/// Whether the publisher serves the model, or has stored blocks of it.
pub(crate) fn serves(known: &KnownPublisher, model: &str) -> bool {
    known.model() == model || known.spaces.iter().any(|space| space.model == model)
}

/// Best first; equals by name, so that answers do not depend on chance.
pub(crate) fn sort(rows: &mut [Row]) {
    let tokens = |row: &Row| u64::from(row.matched_blocks()) * u64::from(row.block_size());
    rows.sort_unstable_by(|a, b| {
        let score = b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal);
        score
            .then_with(|| tokens(b).cmp(&tokens(a)))
            .then_with(|| a.publisher.cmp(&b.publisher))
    });
}
