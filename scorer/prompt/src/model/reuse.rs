//! Which parts of a text have token ids that do not depend on the rest of it, so
//! that they can be tokenised alone, once, and remembered.
//!
//! Two cuts are made, and each only where it is proved to change no id:
//!
//! 1. At **added tokens** (`segments.rs`). The library takes those that are matched
//!    in the raw text out first, and normalises, splits and tokenises each text
//!    between them by itself.
//! 2. At **word ends** inside such a text (`cuts.rs`), where the tokenizer's own
//!    rules always end a word, whatever comes before and after.
//!
//! Everything here is decided when the model is loaded, from its tokenizer. What is
//! not covered by the proofs is not cut: without the first cut nothing is reused.

mod cuts;
mod frame;
mod pattern;
mod segments;

use std::fmt;
use std::sync::Arc;

use proto_model::CacheSalt;
use tokenizers::{
    Model, ModelWrapper, OffsetReferential, OffsetType, PreTokenizer, PreTokenizerWrapper,
    Tokenizer,
};

use crate::token_cache::{PieceSpace, TokenCache};
use cuts::Cuts;
use frame::Frame;
use segments::{Segment, Segments};

/// How much of a prompt that was seen before a model's tokenizer need not do again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenReuse {
    /// Nothing: every prompt is tokenised in full.
    Nothing {
        /// What stands in the way.
        because: &'static str,
    },
    /// Texts between added tokens that are equal as a whole: in chats, earlier
    /// messages. A message that grew is tokenised in full.
    Segments {
        /// Why not within them.
        because: &'static str,
    },
    /// Texts up to where they differ.
    Words,
}

impl fmt::Display for TokenReuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing { because } => write!(f, "nothing is reused: {because}"),
            Self::Segments { because } => write!(f, "whole segments are reused: {because}"),
            Self::Words => f.write_str("texts are reused up to where they differ"),
        }
    }
}

/// A tokenizer's way to take text apart.
#[derive(Debug)]
pub(super) struct Reuse {
    cache: Arc<TokenCache>,
    model: u64,
    segments: Segments,
    cuts: Result<Cuts, &'static str>,
    frame: Frame,
    /// The pre-tokenizer for segments that do not begin the prompt, if it tells
    /// them from the first.
    later: Option<PreTokenizerWrapper>,
}

impl Reuse {
    /// The way to take text apart for this tokenizer, or why there is none.
    pub(super) fn of(tokenizer: &Tokenizer, cache: &Arc<TokenCache>) -> Result<Self, &'static str> {
        if !cache.is_on() {
            return Err("no memory is set aside for it");
        }
        if let ModelWrapper::BPE(bpe) = tokenizer.get_model()
            && bpe.dropout.is_some_and(|dropout| dropout != 0.0)
        {
            return Err("the tokenizer's merges are random (dropout)");
        }
        Ok(Self {
            segments: Segments::of(tokenizer)?,
            cuts: Cuts::of(tokenizer),
            frame: Frame::of(tokenizer)?,
            later: tokenizer.get_pre_tokenizer().and_then(later),
            model: cache.number_model(),
            cache: Arc::clone(cache),
        })
    }

    pub(super) fn extent(&self) -> TokenReuse {
        match self.cuts {
            Ok(_) => TokenReuse::Words,
            Err(because) => TokenReuse::Segments { because },
        }
    }

    /// The text's ids without those that the post-processor adds.
    pub(super) fn ids(
        &self,
        tokenizer: &Tokenizer,
        text: &str,
        salt: Option<&CacheSalt>,
    ) -> Result<Vec<u32>, tokenizers::Error> {
        let space = self.cache.space(self.model, salt);
        // Common texts have three to five bytes a token.
        let mut ids = Vec::with_capacity(text.len() / 3);
        for segment in self.segments.split(text) {
            match segment {
                Segment::Token(id) => ids.push(id),
                Segment::Text(from, to) => {
                    let first = self.later.is_some() && from == 0;
                    let space = space.at_start(first);
                    self.append(tokenizer, &text[from..to], space, first, &mut ids)?;
                }
            }
        }
        Ok(ids)
    }

    /// The ids with those around them that the post-processor adds.
    pub(super) fn framed(&self, ids: Vec<u32>, add_special_tokens: bool) -> Vec<u32> {
        self.frame.around(ids, add_special_tokens)
    }

    fn append(
        &self,
        tokenizer: &Tokenizer,
        segment: &str,
        space: PieceSpace,
        first: bool,
        ids: &mut Vec<u32>,
    ) -> Result<(), tokenizers::Error> {
        let mut from = 0;
        while from < segment.len() {
            let to = match &self.cuts {
                Ok(cuts) => cuts.next(segment, from),
                Err(_) => segment.len(),
            };
            let piece = &segment[from..to];
            if let Some(known) = self.cache.find(space, piece) {
                ids.extend_from_slice(known.ids());
            } else {
                let start = ids.len();
                self.tokenize(tokenizer, piece, first, ids)?;
                self.cache.keep(space, piece, &ids[start..]);
            }
            from = to;
        }
        Ok(())
    }

    /// What the library does with a text, less its offsets and post-processor.
    fn tokenize(
        &self,
        tokenizer: &Tokenizer,
        piece: &str,
        first: bool,
        ids: &mut Vec<u32>,
    ) -> Result<(), tokenizers::Error> {
        let added = tokenizer.get_added_vocabulary();
        let mut splits = added.extract_and_normalize(tokenizer.get_normalizer(), piece);
        let own = tokenizer.get_pre_tokenizer();
        let chosen = if first {
            own
        } else {
            self.later.as_ref().or(own)
        };
        if let Some(pre_tokenizer) = chosen {
            pre_tokenizer.pre_tokenize(&mut splits)?;
        }
        let model = tokenizer.get_model();
        splits.tokenize(|split| model.tokenize(split.get()))?;
        let splits = splits.get_splits(OffsetReferential::Normalized, OffsetType::None);
        let tokens = splits
            .into_iter()
            .filter_map(|(_, _, tokens)| tokens.as_ref());
        ids.extend(tokens.flatten().map(|token| token.id));
        Ok(())
    }
}

/// The pre-tokenizer as it acts anywhere but at the start, if that is another.
/// `Metaspace` alone looks at where a text stands: with `prepend_scheme: first`
/// it treats only the one at offset 0 as a word's beginning.
fn later(pre_tokenizer: &PreTokenizerWrapper) -> Option<PreTokenizerWrapper> {
    use tokenizers::pre_tokenizers::metaspace::PrependScheme;
    match pre_tokenizer {
        PreTokenizerWrapper::Metaspace(metaspace)
            if metaspace.get_prepend_scheme() == PrependScheme::First =>
        {
            let mut metaspace = metaspace.clone();
            metaspace.set_prepend_scheme(PrependScheme::Never);
            Some(PreTokenizerWrapper::Metaspace(metaspace))
        }
        PreTokenizerWrapper::Sequence(sequence) => {
            let mut sequence = sequence.clone();
            let mut differs = false;
            for step in sequence.as_mut() {
                if let Some(other) = later(step) {
                    *step = other;
                    differs = true;
                }
            }
            differs.then_some(PreTokenizerWrapper::Sequence(sequence))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
