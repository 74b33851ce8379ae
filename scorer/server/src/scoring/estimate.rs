//! Guesses from recorded routes alone: no tokens, no template, no events.
//!
//! ```text
//!  body ─▶ plain bytes ─▶ text keys ─▶ lookup among estimated holders ─▶ rows
//! ```
//! Everybody who asks and records must come to the same keys, so a model's name
//! is resolved by the configuration alone: what endpoints have announced differs
//! from moment to moment.

use std::borrow::Cow;

use proto_api::{Estimation, Input, KeyProfile, ScoreQuery, limits};
use proto_model::{BlockKey, Source, TextSpace, Trust};
use scorer_index::{HolderFilter, Match};

use super::lookup::{self, Asked};
use super::route_keys::RouteKeyLists;
use super::rows::Cut;
use super::{CandidateSet, Outcome, Row, ScoreError, Scoring, View, Warnings, rows, shared_names};
use crate::replica::{Content, Directory, KnownPublisher};

/// What is asked of each store.
struct Question<'a> {
    cut: Cut,
    /// Blocks of the prompt.
    blocks: u32,
    candidates: &'a CandidateSet<'a>,
    /// Whether those who hold nothing are listed, too.
    unmatched: bool,
}

impl Scoring {
    /// Answers from recorded routes.
    pub(super) fn estimate(
        &self,
        input: Input,
        query: ScoreQuery,
        estimation: Estimation,
    ) -> Result<Outcome, ScoreError> {
        let max_bytes = u64::from(estimation.block_bytes) * u64::from(estimation.max_blocks);
        let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let plain = self.prompts.plain(input, max_bytes)?;
        let named = match query.model.as_str() {
            "" => plain.model().unwrap_or_default(),
            model => model,
        };
        let (model, lora) = self.configured_name(named, query.lora.as_deref())?;
        let space = TextSpace {
            model: &model,
            lora: lora.as_deref(),
            salt: query.salt.as_ref().or_else(|| plain.cache_salt()),
            block_bytes: estimation.block_bytes,
        };
        let mut keys = Vec::new();
        space.keys(plain.bytes(), estimation.max_blocks as usize, &mut keys);
        let mut outcome = self.estimate_keys(&query, estimation.block_bytes, &keys);
        outcome.model = model.into_owned();
        outcome.lora = lora.map(Cow::into_owned);
        Ok(outcome)
    }

    /// The base model and the adapter that a name stands for, as configured.
    fn configured_name<'a>(
        &'a self,
        name: &'a str,
        lora: Option<&'a str>,
    ) -> Result<(Cow<'a, str>, Option<Cow<'a, str>>), ScoreError> {
        if name.is_empty() {
            return Err(ScoreError::ModelMissing);
        }
        if name.len() > limits::NAME_BYTES {
            return Err(ScoreError::NameTooLong(name.len()));
        }
        let (model, adapter) = match self.catalog.find(name) {
            Some((found, adapter)) => (&found.config.name[..], adapter.map(|of| &of.name[..])),
            None => (name, None),
        };
        Ok((model.into(), lora.or(adapter).map(Cow::from)))
    }

    fn estimate_keys(&self, query: &ScoreQuery, block_bytes: u32, keys: &[BlockKey]) -> Outcome {
        let view = View::of(&self.replicas);
        let mut warnings = Warnings::default();
        view.warn(&mut warnings);
        let candidates = CandidateSet::new(&query.candidates);
        let question = Question {
            cut: Cut {
                profile: KeyProfile::Text,
                block_size: block_bytes,
            },
            blocks: u32::try_from(keys.len()).unwrap_or(u32::MAX),
            candidates: &candidates,
            unmatched: query.include_unmatched || !candidates.is_all(),
        };
        let asked: Vec<_> = {
            let directories = view.directories();
            let each = view.contents().iter().zip(directories.iter());
            each.map(|(content, directory)| question.of(content, directory))
                .collect()
        };
        let found = lookup::lookup_keys(&asked, keys);
        let mut seen = vec![false; candidates.len()];
        let mut rows = Vec::new();
        for (content, found) in view.contents().iter().zip(found) {
            rows.extend(question.rows(content, &found, &mut seen, &mut warnings));
        }
        if self.replicas.may_share_names() {
            shared_names::settle(&view.directories(), &mut rows, &mut warnings);
        }
        if keys.is_empty() {
            // Shorter than a block: there is nothing that anybody could hold.
            rows.clear();
        }
        rows::sort(&mut rows);
        rows.truncate(query.limit.unwrap_or(limits::ENDPOINTS));
        let mut lists = RouteKeyLists::default();
        if query.include_route_keys {
            lists.add_text(block_bytes, keys);
        }
        let standing = view.into_standing();
        Outcome {
            model: String::new(),
            lora: None,
            prompt_tokens: None,
            rows,
            revision: standing.revision,
            age_ms: standing.age_ms,
            state: standing.state,
            stores: standing.stores,
            warnings: warnings.into_texts(),
            unknown_candidates: candidates.unseen(&seen),
            token_ids: Vec::new(),
            route_keys: lists.into_lists(),
            prompt_blocks: question.blocks,
        }
    }
}

impl Question<'_> {
    fn of<'a>(&self, content: &'a Content, directory: &Directory) -> Asked<'a> {
        let holders = || {
            let named = self.candidates.known(directory).into_iter();
            named
                .filter_map(|known| known.estimated)
                .collect::<HolderFilter>()
        };
        Asked {
            index: content.index(),
            filter: (!self.candidates.is_all()).then(holders),
        }
    }

    /// Names and ratios, in no order. Marks the candidates that are known.
    fn rows(
        &self,
        content: &Content,
        found: &[Match],
        seen: &mut [bool],
        warnings: &mut Warnings,
    ) -> Vec<Row> {
        let directory = content.directory();
        let matched = found.iter().filter_map(|found| {
            let (known, source) = directory.holder(found.holder)?;
            (source == Source::Estimated).then_some((known, found))
        });
        let row = |(known, found): (&KnownPublisher, &Match)| {
            Row::of_text(known, self.cut, found.blocks, self.blocks)
        };
        let mut rows: Vec<_> = matched.map(row).collect();
        if self.unmatched {
            self.add_unmatched(&directory, seen, &mut rows);
        }
        if content.is_short() {
            warnings.push("the index has reached its memory limit; matches may be short");
            rows.iter_mut()
                .for_each(|row| row.cap_trust(Trust::Suspect));
        }
        rows
    }

    /// Those of whom no route is remembered, or only of other prompts.
    fn add_unmatched(&self, directory: &Directory, seen: &mut [bool], rows: &mut Vec<Row>) {
        let listed: std::collections::HashSet<_> = rows
            .iter()
            .map(|row| std::sync::Arc::as_ptr(&row.publisher))
            .collect();
        let known = self.candidates.known(directory).into_iter();
        for known in known.filter(|known| known.estimated.is_some()) {
            for index in self.candidates.naming(&known.name) {
                seen[index] = true;
            }
            if !listed.contains(&std::sync::Arc::as_ptr(&known.name)) {
                rows.push(Row::of_text(known, self.cut, 0, self.blocks));
            }
        }
    }
}
